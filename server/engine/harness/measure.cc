#include "server/engine/harness/measure.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/engine/harness/statistics.h"

namespace qtipd {
namespace {

constexpr int kMinWarmUps = 3;
constexpr int kMaxWarmUps = 5000;
constexpr int kOverheadWarmUps = 3;
constexpr int kOverheadReplays = 21;

// Between two reports of progress, in seconds: between all samples they would cost like samples.
constexpr double kProgressSeconds = 0.05;

bool IsKnown(double hertz) { return hertz > 0; }

// What converged is the figure of a slower device.
StopReason Judged(StopReason reason, const ConditionsWatch& watch) {
  const bool is_end = reason == StopReason::kConverged || reason == StopReason::kNoiseStable;
  return is_end && watch.IsMostlyThrottled() ? StopReason::kThrottled : reason;
}

}  // namespace

absl::StatusOr<std::vector<double>> WarmUp(Sampler& sampler, Clock& clock, double seconds) {
  std::vector<double> clocks;
  const double start = clock.MonotonicSeconds();
  double busy = 0;
  double elapsed = 0;
  for (int i = 0; i < kMaxWarmUps && (i < kMinWarmUps || std::max(busy, elapsed) < seconds); ++i) {
    QTIPD_ASSIGN_OR_RETURN(const ReplayTiming timing, sampler.Sample());
    busy += timing.seconds * static_cast<double>(sampler.runs_per_sample());
    elapsed = clock.MonotonicSeconds() - start;
    clocks.push_back(timing.clock_hertz);
  }
  return clocks;
}

absl::StatusOr<double> MeasureReplayOverhead(Device& device) {
  QTIPD_ASSIGN_OR_RETURN(const auto recording, device.Record([] { return absl::OkStatus(); }));
  std::vector<double> seconds;
  for (int i = -kOverheadWarmUps; i < kOverheadReplays; ++i) {
    QTIPD_ASSIGN_OR_RETURN(const ReplayTiming timing, recording->Replay());
    if (i >= 0) seconds.push_back(timing.seconds);
  }
  return Median(seconds);
}

absl::StatusOr<Measurement> Measure(const MeasuringLoop& loop) {
  Measurement measurement;
  const double start = loop.clock.MonotonicSeconds();
  double reported = start;
  std::optional<StopReason> reason;
  while (!reason) {
    if (loop.is_cancelled()) {
      return MakeError(absl::StatusCode::kCancelled, "CANCELLED", "cancelled between samples");
    }
    QTIPD_ASSIGN_OR_RETURN(const ReplayTiming timing, loop.sampler.Sample());
    const double now = loop.clock.MonotonicSeconds();
    if (loop.watch.Judge(timing, now) == ConditionsWatch::Verdict::kTakeAgain) continue;
    measurement.samples.push_back(timing.seconds);
    measurement.sample_clock_hertz.push_back(timing.clock_hertz);
    const double elapsed = now - start - loop.watch.waited_seconds();
    reason = loop.rule.Check(measurement.samples, elapsed);
    if (now - reported < kProgressSeconds) continue;
    reported = now;
    loop.progress(loop.rule.Fraction(measurement.samples, elapsed));
  }
  const auto& clocks = measurement.sample_clock_hertz;
  if (std::none_of(clocks.begin(), clocks.end(), IsKnown)) measurement.sample_clock_hertz.clear();
  measurement.stop_reason = Judged(*reason, loop.watch);
  measurement.statistics = Summarise(measurement.samples);
  return measurement;
}

}  // namespace qtipd
