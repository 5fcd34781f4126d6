// Hadamard transforms and scalings of whole matrices in device memory, for quantizing and for
// decoding in the original basis. Not for timed paths.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_HADAMARD_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_HADAMARD_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/api/dtype.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/qtip/qtip_cuda_transform.h"

namespace qtipd {

// Transforms every row of matrix [rows.sides.features(), cols.sides.features()] by `cols` and then
// every column by `rows`, orthonormal, in place: R matrix C^T. T is float or double. Enqueues; the
// rotations must outlive the work.
template <typename T>
absl::Status LaunchMatrixHadamard(const CudaDevice& device, T* matrix, const CudaRotation& rows,
                                  const CudaRotation& cols);

// destination[i, j] = source[i, j] * row_scale[i] * col_scale[j]; fp32 scales, product in double
// where either side is double. In place is allowed. Enqueues.
template <typename Source, typename Destination>
absl::Status LaunchScale(const CudaDevice& device, const Source* source, const float* row_scale,
                         const float* col_scale, int64_t rows, int64_t cols,
                         Destination* destination);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_HADAMARD_H_
