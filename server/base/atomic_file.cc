#include "server/base/atomic_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

absl::Status WriteError(const std::string& call, const std::string& path, int error) {
  const bool is_full = error == ENOSPC || error == EDQUOT;
  return MakeError(is_full ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kInternal,
                   is_full ? "DISK_FULL" : "FILE_WRITE_FAILED",
                   call + " " + path + ": " + std::strerror(error), {{"path", path}});
}

}  // namespace

absl::Status SyncDirectory(const std::string& directory) {
  const int descriptor = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return WriteError("open", directory, errno);
  const int result = fsync(descriptor);
  const int error = errno;
  close(descriptor);
  return result == 0 ? absl::OkStatus() : WriteError("fsync", directory, error);
}

AtomicFile::AtomicFile(std::string directory, std::string path, int descriptor)
    : directory_(std::move(directory)), path_(std::move(path)), descriptor_(descriptor) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : directory_(std::move(other.directory_)),
      path_(std::exchange(other.path_, "")),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!path_.empty()) unlink(path_.c_str());
}

absl::StatusOr<AtomicFile> AtomicFile::Create(const std::string& directory) {
  std::string path = directory + "/.tmp-XXXXXX";
  const int descriptor = mkostemp(path.data(), O_CLOEXEC);
  if (descriptor < 0) return WriteError("create", path, errno);
  return AtomicFile(directory, path, descriptor);
}

absl::Status AtomicFile::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return WriteError("write", path_, errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Sync() {
  return fsync(descriptor_) == 0 ? absl::OkStatus() : WriteError("fsync", path_, errno);
}

absl::Status AtomicFile::Close() {
  QTIPD_RETURN_IF_ERROR(Sync());
  const int descriptor = std::exchange(descriptor_, -1);
  return close(descriptor) == 0 ? absl::OkStatus() : WriteError("close", path_, errno);
}

absl::Status AtomicFile::Commit(const std::string& name) {
  if (descriptor_ >= 0) QTIPD_RETURN_IF_ERROR(Sync());
  QTIPD_RETURN_IF_ERROR(CommitUnsynced(name));
  return SyncDirectory(directory_);
}

absl::Status AtomicFile::CommitUnsynced(const std::string& name) {
  const std::string final_path = directory_ + "/" + name;
  if (rename(path_.c_str(), final_path.c_str()) != 0) {
    return WriteError("rename to", final_path, errno);
  }
  path_.clear();
  return absl::OkStatus();
}

absl::StatusOr<int> AtomicFile::ReleaseUnnamed() {
  if (unlink(path_.c_str()) != 0) return WriteError("unlink", path_, errno);
  path_.clear();
  if (lseek(descriptor_, 0, SEEK_SET) < 0) return WriteError("seek", directory_, errno);
  return std::exchange(descriptor_, -1);
}

}  // namespace qtipd
