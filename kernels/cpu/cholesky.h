// Cholesky factors of large matrices on the host, where the matrices lie.
#ifndef QTIPD_KERNELS_CPU_CHOLESKY_H_
#define QTIPD_KERNELS_CPU_CHOLESKY_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

// The lower triangle of a symmetric matrix [size, size] becomes C with C C^T the matrix; what lies
// above it means nothing afterwards. In double precision but for the rounding of C to fp32; takes
// CholeskyScratchBytes. Calls OpenBLAS, on its own threads. `remedy` is the option whose larger
// value makes a matrix positive definite, for the error's text.
// Errors: InvalidArgument/HESSIAN_NOT_POSITIVE_DEFINITE; Cancelled.
absl::Status FactorCholesky(const Progress& progress, std::span<float> matrix, int64_t size,
                            std::string_view remedy);

// Upper bound of the scratch memory of FactorCholesky.
uint64_t CholeskyScratchBytes();

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CPU_CHOLESKY_H_
