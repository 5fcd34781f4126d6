#include "server/engine/store/data_directory.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error && access(path.c_str(), R_OK | W_OK | X_OK) != 0) {
    error = std::error_code(errno, std::generic_category());
  }
  if (!error) return absl::OkStatus();
  return FieldError(absl::StatusCode::kFailedPrecondition, "DATA_DIR_NOT_WRITABLE", "data-dir",
                    path + " (" + error.message() + ")", "a directory that can be written");
}

}  // namespace

absl::StatusOr<FileLock> LockDataDirectory(const std::string& path) {
  return FileLock::Acquire(path + "/lock");
}

absl::StatusOr<DataDirectory> OpenDataDirectory(const std::string& path) {
  QTIPD_RETURN_IF_ERROR(MakeFolder(path));
  QTIPD_ASSIGN_OR_RETURN(FileLock lock, LockDataDirectory(path));
  DataDirectory directory{.artifacts = path + "/artifacts",
                          .hessians = path + "/hessians",
                          .uploads = path + "/uploads",
                          .history = path + "/history.sqlite",
                          .lock = std::move(lock)};
  QTIPD_RETURN_IF_ERROR(MakeFolder(directory.artifacts));
  QTIPD_RETURN_IF_ERROR(MakeFolder(directory.hessians));
  QTIPD_RETURN_IF_ERROR(MakeFolder(directory.uploads));
  return directory;
}

}  // namespace qtipd
