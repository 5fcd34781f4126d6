// The check that a timed path computed the right thing, in the same run.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_CORRECTNESS_H_
#define QTIPD_SERVER_ENGINE_HARNESS_CORRECTNESS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/device.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

// Activations and what they must become: x ~ N(0,1) rounded to their dtype, and y in double
// precision on the artefact's own W_hat. Rows are independent, so that the first b rows serve
// batch b.
struct ReferenceCase {
  int64_t batch = 0;
  DType activations = DType::kF32;  // of x, and of the y that paths compute
  std::vector<std::byte> x;  // [batch, in_features], of the activations' dtype
  std::vector<double> y;     // [batch, out_features]
};

absl::StatusOr<ReferenceCase> MakeReferenceCase(const WeightFormat& format,
                                                const PackedLayer& layer, DType activations,
                                                uint64_t seed, int64_t batch);

// ||y - reference|| / ||reference|| (L2, double) for y of `dtype`; infinite where y has a NaN or
// infinity. The first y elements of `reference` count.
double RelativeError(std::span<const std::byte> y, DType dtype, std::span<const double> reference);

// Largest RelativeError allowed for outputs of dtype `output` on a device of `compute`: 1e-3 where
// that is F16, 1e-5 where it is F32; for outputs of BF16, 2^-8 more, by which rounding to it may
// change a number. (Rounding changes Gaussian outputs by 1.65e-3 in that norm.)
double RelativeErrorBound(DType output, DType compute);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_CORRECTNESS_H_
