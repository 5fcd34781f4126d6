// Read-only file access for the readers of this folder.
#ifndef QTIPD_KERNELS_IO_MAPPED_FILE_H_
#define QTIPD_KERNELS_IO_MAPPED_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"

namespace qtipd {

// An open regular file. Errors of Open: NotFound/FILE_NOT_FOUND, FailedPrecondition/FILE_UNREADABLE
// with the system's words.
class ReadOnlyFile {
 public:
  static absl::StatusOr<ReadOnlyFile> Open(const std::string& path);
  ReadOnlyFile(ReadOnlyFile&& other) noexcept;
  ReadOnlyFile& operator=(ReadOnlyFile&&) = delete;
  ~ReadOnlyFile();

  uint64_t bytes() const { return bytes_; }
  // Reads exactly `destination.size()` bytes from `offset`.
  absl::Status ReadAt(uint64_t offset, std::span<std::byte> destination) const;

  struct Mapping {
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> owner;  // unmaps when the last reference is gone
  };
  // Maps the whole file privately; an empty file gives an empty span.
  absl::StatusOr<Mapping> Map() const;

 private:
  ReadOnlyFile(std::string path, int descriptor, uint64_t bytes);
  absl::Status Unreadable(int error_number) const;

  std::string path_;
  int descriptor_ = -1;
  uint64_t bytes_ = 0;
};

// Takes the pages that lie wholly within `bytes`, a part of a Mapping, out of this process's
// memory; they stay in the page cache, and are mapped again when they are read.
void DropMappedPages(std::span<const std::byte> bytes);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_IO_MAPPED_FILE_H_
