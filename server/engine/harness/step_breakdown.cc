#include "server/engine/harness/step_breakdown.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/engine/harness/measure.h"
#include "server/engine/harness/statistics.h"

namespace qtipd {
namespace {

// The device is warm already; a new recording's first replays are not.
constexpr double kStepWarmUpSeconds = 0.002;

constexpr double kAllowedDifference = 0.05;  // of the steps together, over the whole

std::vector<StepResult> Named(const PreparedPath& path, const std::vector<double>& seconds) {
  std::vector<StepResult> results;
  for (size_t step = 0; step < seconds.size(); ++step) {
    results.push_back({path.steps()[step], seconds[step]});
  }
  return results;
}

// Tells after each round of replays whether there is to be another.
class Rounds {
 public:
  Rounds(const StepBudget& budget, double max_seconds, Clock& clock,
         const std::function<bool()>& is_cancelled)
      : repetitions_(budget.repetitions),
        clock_(clock),
        is_cancelled_(is_cancelled),
        end_(clock.MonotonicSeconds() + max_seconds) {}

  absl::StatusOr<bool> Next() {
    if (is_cancelled_()) {
      return MakeError(absl::StatusCode::kCancelled, "CANCELLED", "cancelled between steps");
    }
    if (done_ >= repetitions_) return false;
    if (done_ >= kLeastStepRepetitions && clock_.MonotonicSeconds() >= end_) return false;
    ++done_;
    return true;
  }

 private:
  const int repetitions_;
  Clock& clock_;
  const std::function<bool()>& is_cancelled_;
  const double end_;
  int done_ = 0;
};

absl::StatusOr<std::vector<double>> StepsInPlace(CacheMode mode, Device& device,
                                                 const StepRange& whole, Rounds rounds) {
  std::vector<std::unique_ptr<Sampler>> samplers;
  for (int step = 0; step < whole.end_step; ++step) {
    StepRange alone = whole;
    alone.first_step = step;
    alone.end_step = step + 1;
    QTIPD_ASSIGN_OR_RETURN(auto sampler, MakeSampler(mode, device, alone));
    samplers.push_back(std::move(sampler));
  }
  // Every sampler moves to its next copy at each call, so all are on the same one.
  std::vector<std::vector<double>> samples(samplers.size());
  while (true) {
    QTIPD_ASSIGN_OR_RETURN(const bool go_on, rounds.Next());
    if (!go_on) break;
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

absl::StatusOr<double> MedianOf(Sampler& sampler, Rounds rounds) {
  std::vector<double> samples;
  while (true) {
    QTIPD_ASSIGN_OR_RETURN(const bool go_on, rounds.Next());
    if (!go_on) return Median(samples);
    QTIPD_ASSIGN_OR_RETURN(const ReplayTiming timing, sampler.Sample());
    samples.push_back(timing.seconds);
  }
}

absl::StatusOr<std::vector<double>> DifferencesOfPrefixes(
    CacheMode mode, Device& device, const StepRange& whole, double whole_median,
    const StepBudget& budget, Clock& clock, const std::function<bool()>& is_cancelled) {
  const double share = budget.max_seconds / (whole.end_step - 1);
  std::vector<double> differences;
  double before = 0;
  for (int step = 1; step <= whole.end_step; ++step) {
    double until = whole_median;
    if (step < whole.end_step) {
      StepRange prefix = whole;
      prefix.end_step = step;
      const Rounds rounds(budget, share, clock, is_cancelled);  // the warm-up counts too
      QTIPD_ASSIGN_OR_RETURN(const auto sampler, MakeSampler(mode, device, prefix));
      QTIPD_RETURN_IF_ERROR(WarmUp(*sampler, clock, kStepWarmUpSeconds).status());
      QTIPD_ASSIGN_OR_RETURN(const double median, MedianOf(*sampler, rounds));
      until = std::clamp(median, before, std::max(before, whole_median));
    }
    differences.push_back(until - before);
    before = until;
  }
  return differences;
}

// Fills alone_seconds. A step that has to run the one before cannot be measured alone.
absl::Status MeasureAlone(CacheMode mode, Device& device, const StepRange& whole,
                          const StepBudget& budget, Clock& clock,
                          const std::function<bool()>& is_cancelled,
                          std::vector<StepResult>& steps) {
  const double share = budget.max_seconds / whole.end_step;
  for (int step = 0; step < whole.end_step; ++step) {
    if (whole.path->RepeatsPrevious(step)) continue;
    StepRange alone = whole;
    alone.first_step = step;
    alone.end_step = step + 1;
    const Rounds rounds(budget, share, clock, is_cancelled);
    QTIPD_ASSIGN_OR_RETURN(const auto sampler, MakeSampler(mode, device, alone));
    QTIPD_RETURN_IF_ERROR(WarmUp(*sampler, clock, kStepWarmUpSeconds).status());
    QTIPD_ASSIGN_OR_RETURN(steps[step].alone_seconds, MedianOf(*sampler, rounds));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<StepResult>> MeasureSteps(CacheMode mode, Device& device,
                                                     const StepRange& whole, double whole_median,
                                                     const StepBudget& budget, Clock& clock,
                                                     const std::function<bool()>& is_cancelled) {
  if (whole.end_step == 1) return Named(*whole.path, {whole_median});
  const bool in_place = device.info().is_synchronous && IsBackToBack(mode);
  QTIPD_ASSIGN_OR_RETURN(
      const std::vector<double> seconds,
      in_place
          ? StepsInPlace(mode, device, whole,
                         Rounds(budget, budget.max_seconds, clock, is_cancelled))
          : DifferencesOfPrefixes(mode, device, whole, whole_median, budget, clock, is_cancelled));
  std::vector<StepResult> steps = Named(*whole.path, seconds);
  if (!device.info().is_synchronous && IsBackToBack(mode)) {
    QTIPD_RETURN_IF_ERROR(MeasureAlone(mode, device, whole, budget, clock, is_cancelled, steps));
  }
  return steps;
}

bool StepsAddUp(std::span<const StepResult> steps, double whole_median) {
  double sum = 0;
  for (const StepResult& step : steps) sum += step.median_seconds;
  return std::abs(sum - whole_median) <= kAllowedDifference * whole_median;
}

}  // namespace qtipd
