#include "server/engine/harness/phases.h"

#include <array>
#include <cmath>
#include <memory>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/engine/harness/sampling_modes.h"
#include "server/engine/harness/statistics.h"

namespace qtipd {
namespace {

constexpr int kRounds = 5;         // of rows of many runs
constexpr int kSingleRounds = 21;  // of single runs
constexpr double kAllowedDifference = 0.05;

using Build = PhaseTracer::Build;

// One build's runs, recorded as a whole, and what they took.
struct Row {
  Build build;
  std::unique_ptr<Recording> recording;
  std::vector<double> seconds = {};   // per run, one a replay
  std::vector<PhaseTimes> runs = {};  // of all replays
};

// The three rows, replayed in turns so that all meet the same conditions.
class PhaseRows {
 public:
  PhaseRows(PhaseTracer& tracer, Device& device, int runs, bool flushes)
      : tracer_(tracer), device_(device), runs_(runs), flushes_(flushes) {}

  absl::Status Record(int copies) {
    for (Row& row : rows_) {
      QTIPD_ASSIGN_OR_RETURN(row.recording, device_.Record([this, copies, build = row.build] {
        for (int run = 0; run < runs_; ++run) {
          QTIPD_RETURN_IF_ERROR(tracer_.Enqueue(build, run, run % copies));
        }
        return absl::OkStatus();
      }));
    }
    return absl::OkStatus();
  }

  // Replays each row once; the first round loads code and is not kept.
  absl::Status Round(bool is_kept) {
    for (Row& row : rows_) {
      // In the queue before the replay, and no part of its time.
      if (flushes_) QTIPD_RETURN_IF_ERROR(device_.FlushCaches());
      QTIPD_ASSIGN_OR_RETURN(const ReplayTiming timing, row.recording->Replay());
      if (!is_kept) continue;
      row.seconds.push_back(timing.seconds / runs_);
      if (row.build == Build::kShipped) continue;
      QTIPD_ASSIGN_OR_RETURN(const std::vector<PhaseTimes> runs, tracer_.Read());
      row.runs.insert(row.runs.end(), runs.begin(), runs.end());
    }
    return absl::OkStatus();
  }

  PhaseBreakdown Summary() const {
    const auto& [shipped, traced, hollow] = rows_;
    PhaseBreakdown breakdown = SummarisePhaseTimes(traced.runs);
    const double launch = Median(hollow.seconds) - SummarisePhaseTimes(hollow.runs).kernel_seconds;
    const double row_seconds = Median(shipped.seconds);
    breakdown.shipped_kernel_seconds = row_seconds - launch;
    if (row_seconds > 0) {
      breakdown.instrumented_overhead = Median(traced.seconds) / row_seconds - 1;
    }
    return breakdown;
  }

 private:
  PhaseTracer& tracer_;
  Device& device_;
  const int runs_;
  const bool flushes_;
  std::array<Row, 3> rows_ = {Row{Build::kShipped, nullptr}, Row{Build::kTraced, nullptr},
                              Row{Build::kHollow, nullptr}};
};

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
    CacheMode mode, Device& device, const StepRange& whole,
    const std::function<bool()>& is_cancelled) {
  const bool is_back_to_back = IsBackToBack(mode);
  const int copies = whole.path->copies();
  const int runs = is_back_to_back ? static_cast<int>(RunsPerReplay(copies)) : 1;
  const auto tracer = whole.path->PreparePhases(whole.places[0].x, whole.places[0].y, runs);
  if (absl::IsUnimplemented(tracer.status())) return std::nullopt;
  QTIPD_RETURN_IF_ERROR(tracer.status());
  PhaseRows rows(**tracer, device, runs, !is_back_to_back);
  QTIPD_RETURN_IF_ERROR(rows.Record(copies));
  const int rounds = is_back_to_back ? kRounds : kSingleRounds;
  for (int round = -1; round < rounds; ++round) {
    if (is_cancelled()) {
      return MakeError(absl::StatusCode::kCancelled, "CANCELLED", "cancelled between phases");
    }
    QTIPD_RETURN_IF_ERROR(rows.Round(round >= 0));
  }
  return rows.Summary();
}

bool PhasesMatchShippedKernel(const PhaseBreakdown& breakdown) {
  const double shipped = breakdown.shipped_kernel_seconds;
  return std::abs(breakdown.kernel_seconds - shipped) <= kAllowedDifference * shipped;
}

}  // namespace qtipd
