// Checks of what encoders are given.
#ifndef QTIPD_KERNELS_CPU_HESSIAN_H_
#define QTIPD_KERNELS_CPU_HESSIAN_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

// OK, or what is wrong with a Hessian of `in_features`; an empty one is the identity. All encoders
// call it. Errors: HESSIAN_SHAPE_INVALID, HESSIAN_NOT_SYMMETRIC (also for NaN and infinity),
// Cancelled.
absl::Status CheckHessian(std::span<const float> hessian, int64_t in_features,
                          const Progress& progress);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CPU_HESSIAN_H_
