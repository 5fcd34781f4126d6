// The layout of a data directory, and the lock on it.
#ifndef QTIPD_SERVER_ENGINE_STORE_DATA_DIRECTORY_H_
#define QTIPD_SERVER_ENGINE_STORE_DATA_DIRECTORY_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/base/file_lock.h"

namespace qtipd {

struct DataDirectory {
  std::string artifacts;  // folder
  std::string hessians;   // folder
  std::string uploads;    // folder; nothing in it survives a restart
  std::string history;    // SQLite file
  FileLock lock;
};

// Creates what is missing, checks that it can be written, and locks it for this process.
// Errors: FailedPrecondition/DATA_DIR_NOT_WRITABLE, DATA_DIR_IN_USE.
absl::StatusOr<DataDirectory> OpenDataDirectory(const std::string& path);

// The lock alone, of a directory that exists. Errors: FailedPrecondition/DATA_DIR_IN_USE.
absl::StatusOr<FileLock> LockDataDirectory(const std::string& path);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_STORE_DATA_DIRECTORY_H_
