#include "server/engine/harness/phases.h"

#include <algorithm>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/engine/harness/statistics.h"

namespace qtipd {
namespace {

constexpr int kRuns = 21;

}  // namespace

PhaseBreakdown SummarisePhaseTimes(std::span<const PhaseTimes> runs) {
  const auto median_of = [&](const auto& seconds_of) {
    std::vector<double> seconds;
    for (const PhaseTimes& run : runs) seconds.push_back(seconds_of(run));
    return Median(seconds);
  };
  PhaseBreakdown breakdown;
  breakdown.kernel_seconds = median_of([](const PhaseTimes& run) { return run.kernel_seconds; });
  for (size_t i = 0; i < runs.front().phases.size(); ++i) {
    const double seconds = median_of([i](const PhaseTimes& run) { return run.phases[i].second; });
    const double fraction = breakdown.kernel_seconds > 0 ? seconds / breakdown.kernel_seconds : 0;
    breakdown.phases.push_back({runs.front().phases[i].first, seconds, fraction});
  }
  return breakdown;
}

absl::StatusOr<std::optional<PhaseBreakdown>> MeasurePhaseBreakdown(
    PreparedPath& path, const void* x, void* y, const std::function<bool()>& is_cancelled) {
  std::vector<PhaseTimes> runs;
  for (int i = 0; i < kRuns; ++i) {
    if (is_cancelled()) {
      return MakeError(absl::StatusCode::kCancelled, "CANCELLED", "cancelled between phases");
    }
    absl::StatusOr<PhaseTimes> times = path.MeasurePhases(i % path.copies(), x, y);
    if (absl::IsUnimplemented(times.status())) return std::nullopt;
    QTIPD_RETURN_IF_ERROR(times.status());
    runs.push_back(*std::move(times));
  }
  return SummarisePhaseTimes(runs);
}

}  // namespace qtipd
