// A small operand at several places of device memory.
#ifndef QTIPD_KERNELS_API_SPREAD_BUFFER_H_
#define QTIPD_KERNELS_API_SPREAD_BUFFER_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/device.h"

namespace qtipd {

// Where a vector lies that every compute unit reads decides which slices of the cache answer them
// all: the same kernel on the same weights is up to 3 % faster or slower with it (H200). A time
// taken at one place has that error, however often it is repeated; a mean over places has less.
inline constexpr int kPlaces = 8;

// kPlaces copies of an operand in one allocation; one copy where the operand is too large for its
// place to matter, or on a device whose memory is the host's. Lives as long as its device at most.
class SpreadBuffer {
 public:
  SpreadBuffer() = default;
  // Uninitialised. Errors: as Device::Allocate.
  static absl::StatusOr<SpreadBuffer> Allocate(Device& device, size_t bytes);

  int places() const { return places_; }
  size_t bytes() const { return bytes_; }  // of one copy
  std::byte* at(int place) const { return buffer_.as<std::byte>() + place * stride_; }
  const Buffer& whole() const { return buffer_; }

  // Blocks: the same `host_src`, of the operand's size, at every place.
  absl::Status CopyToDevice(Device& device, const void* host_src) const;

 private:
  SpreadBuffer(Buffer buffer, size_t bytes, size_t stride, int places)
      : buffer_(std::move(buffer)), bytes_(bytes), stride_(stride), places_(places) {}

  Buffer buffer_;
  size_t bytes_ = 0;
  size_t stride_ = 0;
  int places_ = 0;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_SPREAD_BUFFER_H_
