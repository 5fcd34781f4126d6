// A file that appears under its final name complete and on disk, or not at all.
#ifndef QTIPD_SERVER_BASE_ATOMIC_FILE_H_
#define QTIPD_SERVER_BASE_ATOMIC_FILE_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace qtipd {

// Writes to a temporary name beside the final one; removed when destroyed uncommitted. Move-only,
// not thread-safe. Errors: ResourceExhausted/DISK_FULL; Internal/FILE_WRITE_FAILED.
class AtomicFile {
 public:
  // Creates `<directory>/.tmp-<unique>`.
  static absl::StatusOr<AtomicFile> Create(const std::string& directory);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  absl::Status Write(std::span<const std::byte> bytes);
  // Brings what was written to the disk, so that little is left for Commit to wait for.
  absl::Status Sync();
  // Syncs and gives the descriptor back, for many files that wait for their names; nothing can be
  // written any more.
  absl::Status Close();
  // Syncs the bytes, renames to `<directory>/<name>` (replacing it) and syncs the directory.
  absl::Status Commit(const std::string& name);
  // Renames without syncing, for files that need not outlive the machine.
  absl::Status CommitUnsynced(const std::string& name);
  // Takes the open file, already without a name, at position 0: it is gone once closed.
  absl::StatusOr<int> ReleaseUnnamed();

 private:
  AtomicFile(std::string directory, std::string path, int descriptor);
  std::string directory_;
  std::string path_;
  int descriptor_ = -1;
};

// Brings the names in a directory to the disk.
absl::Status SyncDirectory(const std::string& directory);

}  // namespace qtipd

#endif  // QTIPD_SERVER_BASE_ATOMIC_FILE_H_
