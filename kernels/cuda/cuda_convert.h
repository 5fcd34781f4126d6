// Elements of one float type as those of another.
#ifndef QTIPD_KERNELS_CUDA_CUDA_CONVERT_H_
#define QTIPD_KERNELS_CUDA_CUDA_CONVERT_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/api/dtype.h"
#include "kernels/cuda/cuda_device.h"

namespace qtipd {

// As Device::Convert, of two float types that differ. The kernel overlaps its neighbours, so that
// between two that do it costs no launch.
absl::Status LaunchConvert(const CudaDevice& device, void* dst, DType dst_dtype, const void* src,
                           DType src_dtype, int64_t count);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUDA_CONVERT_H_
