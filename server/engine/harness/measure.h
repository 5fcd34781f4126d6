// The measuring loop: warm up, sample until the rule says stop.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_MEASURE_H_
#define QTIPD_SERVER_ENGINE_HARNESS_MEASURE_H_

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"
#include "server/base/clock.h"
#include "server/engine/harness/sampling.h"
#include "server/engine/harness/stopping.h"
#include "server/engine/types.h"

namespace qtipd {

struct Measurement {
  std::vector<double> samples;  // in the order taken; none is dropped
  Statistics statistics;
  StopReason stop_reason = StopReason::kConverged;
};

// Replays until the device has worked for 50 ms, at least 3 and at most 50 times, so that code is
// loaded, pages are touched and clocks are up.
absl::Status WarmUp(Sampler& sampler);

// Samples until `rule` says stop. `progress` gets the share done. Errors: Cancelled between
// samples; the device's own.
absl::StatusOr<Measurement> Measure(Sampler& sampler, StoppingRule& rule, Clock& clock,
                                    const std::function<bool()>& is_cancelled,
                                    const std::function<void(double)>& progress);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_MEASURE_H_
