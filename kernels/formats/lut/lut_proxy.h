// Errors in the metric of a Hessian.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_PROXY_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_PROXY_H_

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"
#include "kernels/cpu/thread_pool.h"

namespace qtipd {

// tr(M H M^T) for M [shape] and H [in_features, in_features], in_features a multiple of 16. The
// same at any number of threads. Errors: Cancelled.
absl::StatusOr<double> LutQuadraticForm(ThreadPool& pool, const Progress& progress, Shape shape,
                                        std::span<const float> matrix,
                                        std::span<const float> hessian);

// Upper bound of the memory that it takes.
uint64_t LutQuadraticFormBytes(Shape shape, int threads);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_PROXY_H_
