// What a GPU can do at best: bandwidth by size, launches, issue rates.
#ifndef QTIPD_KERNELS_CUDA_CUDA_CEILING_H_
#define QTIPD_KERNELS_CUDA_CUDA_CEILING_H_

#include <functional>

#include "kernels/cuda/cuda_device.h"

namespace qtipd {

// Device::MeasureCeiling on a GPU, after a warm-up. Every figure is the best of three medians of
// graph replays. The curves go from 1 MiB to 1 GiB (less where memory is scarce), each graph over
// enough of a buffer that L2 is cold, one grid after the other; that of cached reads from 1 MiB to
// the size of L2. Of several ways to read, the fastest counts at each size.
// Rates are those of `issue` (a warp's instructions, one LOP3 for one IMAD, no dependence between
// neighbours) and `shared_memory` (LDS.32 without conflicts, one wavefront each).
absl::StatusOr<DeviceCeiling> MeasureCudaCeiling(CudaDevice& device,
                                                 const std::function<bool()>& is_cancelled);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUDA_CEILING_H_
