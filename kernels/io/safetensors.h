// Reads and writes safetensors files within stated bounds: no header, however it lies, makes the
// reader touch memory outside the file or allocate more than the header's own size justifies.
//
// Format: 8 bytes little-endian header length, a JSON header, then the tensors' bytes
// (https://github.com/huggingface/safetensors, "Format").
#ifndef QTIPD_KERNELS_IO_SAFETENSORS_H_
#define QTIPD_KERNELS_IO_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/host_tensor.h"

namespace qtipd {

using SafetensorsMetadata = std::map<std::string, std::string>;

inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;

// Where one tensor lies; `begin` and `end` are byte offsets from the start of the file.
struct TensorEntry {
  DType dtype = DType::kU8;
  std::vector<int64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

// A checked header: every entry lies inside the file, has end - begin = product of shape times
// element size, and the entries cover the data without holes or overlaps.
struct SafetensorsHeader {
  std::map<std::string, TensorEntry> tensors;
  SafetensorsMetadata metadata;
};

struct SafetensorsFile {
  TensorMap tensors;
  SafetensorsMetadata metadata;
};

// Maps the file; all tensors share the mapping, which lives until the last of them is gone. Tensor
// bytes may be unaligned for their dtype. The file must not be truncated while it is mapped.
// Errors: NotFound/FILE_NOT_FOUND, FailedPrecondition/FILE_UNREADABLE, and those of
// ParseSafetensors.
absl::StatusOr<SafetensorsFile> ReadSafetensors(const std::string& path);

// Reads the header alone, without mapping or touching the data. Errors: as ReadSafetensors.
absl::StatusOr<SafetensorsHeader> ReadSafetensorsHeader(const std::string& path);

// The whole file is `bytes`, kept alive by `owner`, which every tensor shares. `display_name` names
// the file in errors.
// Errors: SAFETENSORS_INVALID with metadata file, tensor and what: DataLoss if the file is shorter
// than its header says, else InvalidArgument.
absl::StatusOr<SafetensorsFile> ParseSafetensors(std::span<const std::byte> bytes,
                                                 std::shared_ptr<const void> owner,
                                                 std::string_view display_name);

// Parses the header from `prefix`, the first bytes (at least the header) of a file of `file_bytes`.
// Errors: as ParseSafetensors.
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::span<const std::byte> prefix,
                                                         uint64_t file_bytes,
                                                         std::string_view display_name);

// Receives consecutive pieces of a file; an error stops the writer and is returned by it.
using ByteSink = std::function<absl::Status(std::span<const std::byte>)>;

// Writes a file to `sink` without copying the tensors. The bytes depend on nothing but the
// arguments: header keys are sorted, the data begins at a multiple of 64 bytes and holds the
// tensors by falling element size, then by name, so that each is aligned for its dtype. Errors:
// InvalidArgument/SAFETENSORS_INVALID for a tensor whose bytes do not match its shape; the sink's
// own.
absl::Status WriteSafetensors(const TensorMap& tensors, const SafetensorsMetadata& metadata,
                              const ByteSink& sink);

struct TensorDescription {
  std::string name;
  DType dtype = DType::kU8;
  std::vector<int64_t> shape;
};

// The beginning of a file whose data the caller streams to the same sink: the bytes of `tensors`,
// of non-negative extents, in this order and without gaps. The data begins at a multiple of 64.
absl::Status WriteSafetensorsHeader(const std::vector<TensorDescription>& tensors,
                                    const SafetensorsMetadata& metadata, const ByteSink& sink);

// WriteSafetensors into one block, for small files.
absl::StatusOr<std::vector<std::byte>> BuildSafetensors(const TensorMap& tensors,
                                                        const SafetensorsMetadata& metadata = {});

// The tensor called `name`. Errors: NotFound/TENSOR_NOT_FOUND with near names.
absl::StatusOr<HostTensor> FindTensor(const TensorMap& tensors, std::string_view name,
                                      std::string_view display_name);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_IO_SAFETENSORS_H_
