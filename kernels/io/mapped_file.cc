#include "kernels/io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

absl::Status FileError(const std::string& path, int error_number) {
  const bool is_missing = error_number == ENOENT || error_number == ENOTDIR;
  return FieldError(
      is_missing ? absl::StatusCode::kNotFound : absl::StatusCode::kFailedPrecondition,
      is_missing ? "FILE_NOT_FOUND" : "FILE_UNREADABLE", "file",
      path + " (" + std::strerror(error_number) + ")", "a readable regular file");
}

}  // namespace

ReadOnlyFile::ReadOnlyFile(std::string path, int descriptor, uint64_t bytes)
    : path_(std::move(path)), descriptor_(descriptor), bytes_(bytes) {}

ReadOnlyFile::ReadOnlyFile(ReadOnlyFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      bytes_(other.bytes_) {}

ReadOnlyFile::~ReadOnlyFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::StatusOr<ReadOnlyFile> ReadOnlyFile::Open(const std::string& path) {
  // O_NONBLOCK: opening a FIFO must fail the regular-file check below, not wait for a writer.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return FileError(path, errno);
  struct stat info {};
  if (fstat(descriptor, &info) != 0) {
    const int error_number = errno;
    close(descriptor);
    return FileError(path, error_number);
  }
  ReadOnlyFile file(path, descriptor, static_cast<uint64_t>(info.st_size));
  if (S_ISDIR(info.st_mode)) return file.Unreadable(EISDIR);
  if (!S_ISREG(info.st_mode)) return file.Unreadable(EINVAL);
  return file;
}

absl::Status ReadOnlyFile::Unreadable(int error_number) const {
  return FileError(path_, error_number);
}

absl::Status ReadOnlyFile::ReadAt(uint64_t offset, std::span<std::byte> destination) const {
  while (!destination.empty()) {
    const ssize_t count =
        pread(descriptor_, destination.data(), destination.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Unreadable(count < 0 ? errno : EIO);
    destination = destination.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

absl::StatusOr<ReadOnlyFile::Mapping> ReadOnlyFile::Map() const {
  if (bytes_ == 0) return Mapping{};
  void* address = mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, descriptor_, 0);
  if (address == MAP_FAILED) return Unreadable(errno);
  std::shared_ptr<const void> owner(
      address, [bytes = bytes_](const void* data) { munmap(const_cast<void*>(data), bytes); });
  return Mapping{{static_cast<const std::byte*>(address), bytes_}, std::move(owner)};
}

void DropMappedPages(std::span<const std::byte> bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<uintptr_t>(bytes.data());
  const uintptr_t begin = (first + page - 1) / page * page;
  const uintptr_t end = (first + bytes.size()) / page * page;
  // Only advice: what stays mapped does no harm.
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace qtipd
