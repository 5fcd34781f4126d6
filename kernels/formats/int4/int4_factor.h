// The Hessian's factor that weighs and feeds back errors.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_FACTOR_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_FACTOR_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"
#include "kernels/cpu/thread_pool.h"

namespace qtipd {

// H = (I + U) diag(pivots)^2 (I + U)^T with strictly upper triangular U. Of the errors E = W -
// W_hat of a row, tr(E H E^T) is the sum over columns k of pivots[k]^2 (E (I + U))[k]^2, so what
// columns before k have left is made good by aiming column k at W[k] + (E U)[k]. U is what the
// rows of the upper Cholesky factor of H^-1 over their diagonal are in GPTQ, which subtracts their
// products from the columns that follow: the same targets (QuIP, Chee et al., 2023, arXiv
// 2307.13304, theorem 6), without an inverse.
struct Int4Factor {
  int64_t size = 0;
  std::span<const float> upper;  // U [size, size] row-major, zero elsewhere; memory of H
  std::vector<float> pivots;     // positive
};

// Adds `damping` times the mean diagonal to the diagonal of a symmetric matrix [size, size] and
// factors it where it lies.
// Errors: InvalidArgument/HESSIAN_NOT_POSITIVE_DEFINITE; Cancelled.
absl::StatusOr<Int4Factor> FactorInt4Hessian(ThreadPool& pool, const Progress& progress,
                                             std::span<float> hessian, int64_t size,
                                             double damping);

// Upper bound of what FactorInt4Hessian takes, and of what its result holds beside H.
uint64_t Int4FactorBytes(int64_t size);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_FACTOR_H_
