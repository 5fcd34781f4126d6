// A rotation as the CUDA kernels take it: its size, and the signs of its had_K in device memory.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_TRANSFORM_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_TRANSFORM_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/qtip/qtip_hadamard.h"

namespace qtipd {

// Rows and columns of had_K, whose order is a multiple of four, that one 16-bit word holds.
inline constexpr int kSignBlock = 4;

// The signs of had_K or its transpose in words of 4x4 elements, [order / 4 column group][order / 4
// row group]: bit 4 c + r is set where element (4 row group + r, 4 column group + c) is -1. Empty
// for order 1.
std::vector<uint16_t> PackHadamardSigns(int order, HadamardDirection direction);

// In one direction.
struct CudaRotation {
  QtipRotation sides;
  int order = 1;
  Buffer signs;  // PackHadamardSigns()
};

// Of the largest order.
inline constexpr uint64_t kMaxHadamardSignBytes = sizeof(uint16_t) *
                                                  (kHadamardOrders.front() / kSignBlock) *
                                                  (kHadamardOrders.front() / kSignBlock);

// `sides.size` has a HadamardOrder. Blocks. Errors: DEVICE_MEMORY_EXHAUSTED.
absl::StatusOr<CudaRotation> MakeCudaRotation(CudaDevice& device, const QtipRotation& sides,
                                              HadamardDirection direction);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_TRANSFORM_H_
