#include "server/engine/harness/step_breakdown.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/engine/harness/measure.h"
#include "server/engine/harness/statistics.h"

namespace qtipd {
namespace {

absl::Status Cancelled() {
  return MakeError(absl::StatusCode::kCancelled, "CANCELLED", "cancelled between steps");
}

std::vector<StepResult> Named(const PreparedPath& path, const std::vector<double>& seconds) {
  std::vector<StepResult> results;
  for (size_t step = 0; step < seconds.size(); ++step) {
    results.push_back({path.steps()[step], seconds[step]});
  }
  return results;
}

absl::StatusOr<std::vector<double>> StepsInPlace(Device& device, const StepRange& whole,
                                                 int repetitions,
                                                 const std::function<bool()>& is_cancelled) {
  std::vector<std::unique_ptr<Sampler>> samplers;
  for (int step = 0; step < whole.end_step; ++step) {
    StepRange alone = whole;
    alone.first_step = step;
    alone.end_step = step + 1;
    QTIPD_ASSIGN_OR_RETURN(auto sampler, MakeSampler(device, alone));
    samplers.push_back(std::move(sampler));
  }
  // Every sampler moves to its next copy at each call, so all are on the same one.
  std::vector<std::vector<double>> samples(samplers.size());
  for (int i = 0; i < repetitions; ++i) {
    if (is_cancelled()) return Cancelled();
    for (size_t step = 0; step < samplers.size(); ++step) {
      QTIPD_ASSIGN_OR_RETURN(const ReplayTiming timing, samplers[step]->Sample());
      samples[step].push_back(timing.seconds);
    }
  }
  std::vector<double> seconds;
  double before = 0;
  for (int step = 0; step < whole.end_step; ++step) {
    const double alone = Median(samples[step]);
    seconds.push_back(whole.path->RepeatsPrevious(step) ? std::max(0.0, alone - before) : alone);
    before = alone;
  }
  return seconds;
}

absl::StatusOr<std::vector<double>> DifferencesOfPrefixes(
    Device& device, const StepRange& whole, double whole_median, int repetitions,
    const std::function<bool()>& is_cancelled) {
  std::vector<double> differences;
  double before = 0;
  for (int step = 1; step <= whole.end_step; ++step) {
    double until = whole_median;
    if (step < whole.end_step) {
      StepRange prefix = whole;
      prefix.end_step = step;
      QTIPD_ASSIGN_OR_RETURN(auto sampler, MakeSampler(device, prefix));
      QTIPD_RETURN_IF_ERROR(WarmUp(*sampler));
      std::vector<double> samples;
      for (int i = 0; i < repetitions; ++i) {
        if (is_cancelled()) return Cancelled();
        QTIPD_ASSIGN_OR_RETURN(const ReplayTiming timing, sampler->Sample());
        samples.push_back(timing.seconds);
      }
      until = std::clamp(Median(samples), before, std::max(before, whole_median));
    }
    differences.push_back(until - before);
    before = until;
  }
  return differences;
}

}  // namespace

absl::StatusOr<std::vector<StepResult>> MeasureSteps(Device& device, const StepRange& whole,
                                                     double whole_median, int repetitions,
                                                     const std::function<bool()>& is_cancelled) {
  if (whole.end_step == 1) return Named(*whole.path, {whole_median});
  QTIPD_ASSIGN_OR_RETURN(
      const std::vector<double> seconds,
      device.info().is_synchronous
          ? StepsInPlace(device, whole, repetitions, is_cancelled)
          : DifferencesOfPrefixes(device, whole, whole_median, repetitions, is_cancelled));
  return Named(*whole.path, seconds);
}

}  // namespace qtipd
