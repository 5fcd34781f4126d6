// What each step of a path costs.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_STEP_BREAKDOWN_H_
#define QTIPD_SERVER_ENGINE_HARNESS_STEP_BREAKDOWN_H_

#include <functional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/clock.h"
#include "server/engine/harness/sampling.h"
#include "server/engine/types.h"

namespace qtipd {

// How much a breakdown may cost.
struct StepBudget {
  int repetitions = 30;  // replays of each, at most
  double max_seconds =
      0.2;  // of the clock, in all, once each was replayed kLeastStepRepetitions times
};

inline constexpr int kLeastStepRepetitions = 5;

// Measures the steps of `whole` (all steps of its path), whose median is `whole_median` seconds.
//
// On a synchronous device, where samples follow each other without a gap, every step is recorded
// alone and replayed in its place, one after the other on the next copy; a step's figure is its
// median, less that of the step before if it repeats that one. Otherwise step k costs T(first k
// steps) - T(first k - 1), each T a median over samples of `mode`, with T(all) = `whole_median`, so
// that the steps add up to the whole; noise that would make a step negative is given to its
// neighbour. There every step is replayed alone too, unless `mode` keeps runs apart, for its
// alone_seconds, within the budget once more. Errors: Cancelled; the device's own.
absl::StatusOr<std::vector<StepResult>> MeasureSteps(CacheMode mode, Device& device,
                                                     const StepRange& whole, double whole_median,
                                                     const StepBudget& budget, Clock& clock,
                                                     const std::function<bool()>& is_cancelled);

// Whether the steps together cost what the whole does, within 5 %. By construction where they are
// differences; not where each was replayed in its place.
bool StepsAddUp(std::span<const StepResult> steps, double whole_median);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_STEP_BREAKDOWN_H_
