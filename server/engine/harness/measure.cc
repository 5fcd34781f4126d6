#include "server/engine/harness/measure.h"

#include <optional>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/engine/harness/statistics.h"

namespace qtipd {
namespace {

constexpr double kWarmUpSeconds = 0.05;
constexpr int kMinWarmUps = 3;
constexpr int kMaxWarmUps = 50;

}  // namespace

absl::Status WarmUp(Sampler& sampler) {
  double busy_seconds = 0;
  for (int i = 0; i < kMaxWarmUps && (i < kMinWarmUps || busy_seconds < kWarmUpSeconds); ++i) {
    QTIPD_ASSIGN_OR_RETURN(const ReplayTiming timing, sampler.Sample());
    busy_seconds += timing.seconds * static_cast<double>(sampler.runs_per_sample());
  }
  return absl::OkStatus();
}

absl::StatusOr<Measurement> Measure(Sampler& sampler, StoppingRule& rule, Clock& clock,
                                    const std::function<bool()>& is_cancelled,
                                    const std::function<void(double)>& progress) {
  Measurement measurement;
  const double start = clock.MonotonicSeconds();
  std::optional<StopReason> reason;
  while (!reason) {
    if (is_cancelled()) {
      return MakeError(absl::StatusCode::kCancelled, "CANCELLED", "cancelled between samples");
    }
    QTIPD_ASSIGN_OR_RETURN(const ReplayTiming timing, sampler.Sample());
    measurement.samples.push_back(timing.seconds);
    const double elapsed = clock.MonotonicSeconds() - start;
    reason = rule.Check(measurement.samples, elapsed);
    progress(rule.Fraction(measurement.samples, elapsed));
  }
  measurement.stop_reason = *reason;
  measurement.statistics = Summarise(measurement.samples);
  return measurement;
}

}  // namespace qtipd
