#include "server/base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

std::string ReadPid(int descriptor) {
  char text[32] = {};
  const ssize_t size = pread(descriptor, text, sizeof(text) - 1, 0);
  const std::string pid(text, size > 0 ? static_cast<size_t>(size) : 0);
  return pid.empty() ? "unknown" : pid.substr(0, pid.find('\n'));
}

absl::Status NotWritable(const std::string& path, int error) {
  return FieldError(absl::StatusCode::kFailedPrecondition, "DATA_DIR_NOT_WRITABLE", "data-dir",
                    path + " (" + std::strerror(error) + ")", "a directory that can be written");
}

}  // namespace

absl::StatusOr<FileLock> FileLock::Acquire(const std::string& path) {
  FileLock lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.descriptor_ < 0) return NotWritable(path, errno);
  if (flock(lock.descriptor_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return NotWritable(path, errno);
    const std::string pid = ReadPid(lock.descriptor_);
    return MakeError(absl::StatusCode::kFailedPrecondition, "DATA_DIR_IN_USE",
                     "data-dir: got a directory that process " + pid + " uses (" + path +
                         "), allowed one that no daemon uses",
                     {{"field", "data-dir"}, {"path", path}, {"pid", pid}});
  }
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(lock.descriptor_, 0) != 0 ||
      pwrite(lock.descriptor_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return NotWritable(path, errno);
  }
  return lock;
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock::~FileLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace qtipd
