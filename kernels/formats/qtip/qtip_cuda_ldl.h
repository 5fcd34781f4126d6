// Block LDL of a Hessian on a GPU, for LDLQ: H = L D L^T with blocks of 16 columns.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LDL_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LDL_H_

#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "kernels/cuda/cuda_device.h"

namespace qtipd {

// Cholesky factor C of `hessian`, H = C C^T: a symmetric fp32 matrix [size, size] in device memory,
// size a multiple of 16, whose lower triangle in column-major order is overwritten with C; what
// lies above it is left and means nothing. In double precision but for the rounding of H and C.
// Takes 12 KiB of scratch memory a row. Blocks until done; an error of `check`, asked after every
// 512 columns, ends it. Errors: InvalidArgument/HESSIAN_NOT_POSITIVE_DEFINITE,
// DEVICE_MEMORY_EXHAUSTED.
absl::Status FactorOnCuda(CudaDevice& device, float* hessian, int64_t size,
                          const std::function<absl::Status()>& check);

// Columns first ... first + group_cols of the block factor L, H = L D L^T with blocks of 16, from
// C: lower[size - first, group_cols] row-major, its row 0 being row `first` of L, written strictly
// below the diagonal blocks only. Both multiples of 16. Enqueues.
absl::Status LaunchLowerColumns(const CudaDevice& device, const float* cholesky, int64_t size,
                                int64_t first, int64_t group_cols, float* lower);

// Sum of squares of `count` fp32 values, in double and in a fixed order. Blocks until done.
absl::StatusOr<double> SumOfSquaresOnCuda(CudaDevice& device, const float* values, int64_t count);

// hessian[i, i] += value. Enqueues.
absl::Status LaunchAddDiagonal(const CudaDevice& device, float* hessian, int64_t size, float value);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LDL_H_
