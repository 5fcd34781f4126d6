// The measuring loop: warm up, sample until the rule says stop.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_MEASURE_H_
#define QTIPD_SERVER_ENGINE_HARNESS_MEASURE_H_

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/device.h"
#include "server/base/clock.h"
#include "server/engine/harness/conditions_watch.h"
#include "server/engine/harness/sampling.h"
#include "server/engine/harness/stopping.h"
#include "server/engine/types.h"

namespace qtipd {

struct Measurement {
  std::vector<double> samples;             // in the order taken; none that was kept is dropped
  std::vector<double> sample_clock_hertz;  // one a sample, 0 where not known; empty: none is known
  Statistics statistics;
  StopReason stop_reason = StopReason::kConverged;
};

// How long a warm-up of a path takes: code is loaded, pages are touched and clocks are up.
inline constexpr double kWarmUpSeconds = 0.05;

// Replays until `seconds` have passed, of the clock or of the device's own, at least 3 and at most
// 5000 times. Returns each replay's clock in hertz, 0 where it is not known.
absl::StatusOr<std::vector<double>> WarmUp(Sampler& sampler, Clock& clock, double seconds);

// The median of what a replay of nothing measures on this device, in seconds.
absl::StatusOr<double> MeasureReplayOverhead(Device& device);

// What the loop works with; all outlive it.
struct MeasuringLoop {
  Sampler& sampler;
  StoppingRule& rule;
  ConditionsWatch& watch;  // has begun
  Clock& clock;
  const std::function<bool()>& is_cancelled;
  const std::function<void(double)>& progress;  // gets the share done, now and then
};

// Samples until the rule says stop; takes those that `watch` rejects again. Errors: Cancelled
// between samples; the device's own.
absl::StatusOr<Measurement> Measure(const MeasuringLoop& loop);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_MEASURE_H_
