// The phases inside a path's fused kernel.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_PHASES_H_
#define QTIPD_SERVER_ENGINE_HARNESS_PHASES_H_

#include <functional>
#include <optional>
#include <span>

#include "absl/status/statusor.h"
#include "kernels/api/inference_path.h"
#include "server/engine/harness/sampling.h"
#include "server/engine/types.h"

namespace qtipd {

// Medians, phase by phase, of runs that have the same phases in the same order; not empty.
PhaseBreakdown SummarisePhaseTimes(std::span<const PhaseTimes> runs);

// Replays rows of the fused kernel of `whole`, all of whose steps must have run once: the shipped
// build, the one with time stamps and the hollow one, each as often as a sample of `mode` has runs,
// over all copies, one kernel after the other; where the mode is not back to back, one kernel after
// a flush of the caches. The hollow row less its own time stamps is what launching costs, and the
// shipped row less that is the time of the shipped kernel: known without the time stamps that the
// phases come from. Nothing where the path or its backend has no such builds. y is left as it was
// or with z in it. Errors: Cancelled; the device's.
absl::StatusOr<std::optional<PhaseBreakdown>> MeasurePhaseBreakdown(
    CacheMode mode, Device& device, const StepRange& whole,
    const std::function<bool()>& is_cancelled);

// Whether the kernel that the phases add up to took as long as the shipped one, within 5 %.
bool PhasesMatchShippedKernel(const PhaseBreakdown& breakdown);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_PHASES_H_
