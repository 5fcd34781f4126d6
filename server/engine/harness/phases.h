// The phases inside a path's fused kernel.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_PHASES_H_
#define QTIPD_SERVER_ENGINE_HARNESS_PHASES_H_

#include <functional>
#include <optional>
#include <span>

#include "absl/status/statusor.h"
#include "kernels/api/inference_path.h"
#include "server/engine/types.h"

namespace qtipd {

// Medians, phase by phase, of runs that have the same phases in the same order; not empty.
PhaseBreakdown SummarisePhaseTimes(std::span<const PhaseTimes> runs);

// Runs the instrumented kernel of `path` over all its copies, at least 21 times. Nothing where the
// path or its backend has none. x and y as in PreparedPath::Run, which must have run once; y is
// left as it was or with z in it. Errors: Cancelled; the device's.
absl::StatusOr<std::optional<PhaseBreakdown>> MeasurePhaseBreakdown(
    PreparedPath& path, const void* x, void* y, const std::function<bool()>& is_cancelled);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_PHASES_H_
