// Errors of a packed layer against the weights it was made from.
#ifndef QTIPD_SERVER_ENGINE_JOBS_QUALITY_H_
#define QTIPD_SERVER_ENGINE_JOBS_QUALITY_H_

#include <cstdint>
#include <functional>
#include <span>

#include "absl/status/statusor.h"
#include "kernels/api/device.h"
#include "kernels/api/weight_format.h"
#include "server/engine/types.h"

namespace qtipd {

// values[i] <- element first + i of W [out_features, in_features]. Called from several threads.
using WeightReader = std::function<void(int64_t first, std::span<float> values)>;

// Decodes the resident layer, as the device itself decodes it, and compares it with W, which
// `read_weights` gives: squared errors of the weights, and of the outputs for 16 activation
// vectors x ~ N(0,1) of stream kQualityActivations, seed 0. Leaves proxy_error at 0. The figures do
// not depend on the number of threads. Takes 4 bytes of device memory per weight.
// Errors: the device's; Cancelled.
absl::StatusOr<Quality> MeasureQuality(Device& device, ResidentWeights& resident,
                                       const WeightReader& read_weights, Progress& progress);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_QUALITY_H_
