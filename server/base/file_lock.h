// An exclusive lock on a directory: one daemon each.
#ifndef QTIPD_SERVER_BASE_FILE_LOCK_H_
#define QTIPD_SERVER_BASE_FILE_LOCK_H_

#include <string>

#include "absl/status/statusor.h"

namespace qtipd {

// Holds flock(2) on a file until destroyed; the kernel releases it when the process dies, however
// it dies. The file stays, with the holder's pid in it. Move-only.
class FileLock {
 public:
  // Errors: FailedPrecondition/DATA_DIR_IN_USE naming the pid that holds it;
  // FailedPrecondition/DATA_DIR_NOT_WRITABLE with the system's words.
  static absl::StatusOr<FileLock> Acquire(const std::string& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_BASE_FILE_LOCK_H_
