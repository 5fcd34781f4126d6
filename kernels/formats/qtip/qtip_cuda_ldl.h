// Block LDL of a Hessian on a GPU, for LDLQ: H = L D L^T with blocks of 16 columns.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LDL_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LDL_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "kernels/cuda/cuda_device.h"

namespace qtipd {

struct CudaBlockLdl {
  // L [size, size] row-major, fp32, written strictly below the diagonal blocks only.
  Buffer lower;
  // The Cholesky factor C, H = C C^T, column-major fp32 with a zero upper triangle; the energy of E
  // is the squared norm of E C.
  Buffer cholesky;
};

// Factors `hessian`, a symmetric fp64 matrix [size, size] in device memory with size a multiple of
// 16, and overwrites it. Blocked Cholesky in double precision: the factor of a strongly correlated
// Hessian keeps what fp32 would lose. Blocks until done.
// Errors: InvalidArgument/HESSIAN_NOT_POSITIVE_DEFINITE, DEVICE_MEMORY_EXHAUSTED.
absl::StatusOr<CudaBlockLdl> FactorBlockLdlOnCuda(CudaDevice& device, double* hessian,
                                                  int64_t size);

// Sum of squares of `count` fp32 values, in double and in a fixed order. Blocks until done.
absl::StatusOr<double> SumOfSquaresOnCuda(CudaDevice& device, const float* values, int64_t count);

// hessian[i, i] += value. Enqueues.
absl::Status LaunchAddDiagonal(const CudaDevice& device, double* hessian, int64_t size,
                               double value);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LDL_H_
