#include "kernels/api/spread_buffer.h"

#include <utility>

#include "kernels/api/status.h"

namespace qtipd {
namespace {

constexpr size_t kMostBytes = size_t{1} << 20;
// Beyond a page of device memory, and no multiple of what caches interleave by.
constexpr size_t kGap = (size_t{2} << 20) + 5 * 4096;
constexpr size_t kAlignment = 4096;

}  // namespace

absl::StatusOr<SpreadBuffer> SpreadBuffer::Allocate(Device& device, size_t bytes) {
  const bool is_spread = !device.info().is_synchronous && bytes <= kMostBytes;
  const int places = is_spread ? kPlaces : 1;
  const size_t stride = (bytes + kAlignment - 1) / kAlignment * kAlignment + kGap;
  QTIPD_ASSIGN_OR_RETURN(Buffer buffer, device.Allocate((places - 1) * stride + bytes));
  return SpreadBuffer(std::move(buffer), bytes, stride, places);
}

absl::Status SpreadBuffer::CopyToDevice(Device& device, const void* host_src) const {
  for (int place = 0; place < places_; ++place) {
    QTIPD_RETURN_IF_ERROR(device.CopyToDevice(at(place), host_src, bytes_));
  }
  return absl::OkStatus();
}

}  // namespace qtipd
