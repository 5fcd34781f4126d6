#include "server/engine/jobs/cell_breakdown.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "kernels/api/status.h"
#include "server/engine/harness/energy.h"
#include "server/engine/harness/phases.h"
#include "server/engine/harness/roofline.h"
#include "server/engine/harness/step_breakdown.h"
#include "server/engine/jobs/run_errors.h"

namespace qtipd {
namespace {

// Replays for the step breakdown: enough for a steady median, few beside the measurement itself.
constexpr int64_t kMostStepRepetitions = 30;

// Its time in seconds, and beyond that the share of what the samples took.
constexpr double kStepSeconds = 0.2;
constexpr double kStepShare = 0.05;

constexpr double kShortestRunSeconds = 1e-7;  // no device runs anything in less

absl::Status RecordEnergy(const CellRun& run, const StepRange& whole) {
  // Flushes between the runs would be charged to them.
  if (!IsBackToBack(run.problem.spec.cache_mode)) return absl::OkStatus();
  const double run_seconds = std::max(run.result.latency.median, kShortestRunSeconds);
  const double runs = std::ceil(kEnergyReplaySeconds / run_seconds);
  QTIPD_ASSIGN_OR_RETURN(const auto sampler,
                         MakeLongSampler(run.lease.device, whole, static_cast<int64_t>(runs)));
  QTIPD_ASSIGN_OR_RETURN(const std::optional<EnergyUse> energy,
                         MeasureEnergy(*sampler, run.lease.monitor, run.clock, run.is_cancelled));
  if (!energy) return absl::OkStatus();
  run.result.conditions.joules_per_run = energy->joules_per_run;
  run.result.conditions.power_watts = energy->watts;
  return absl::OkStatus();
}

StepBudget BudgetFor(const BenchmarkResult& result) {
  const double measured = result.latency.mean * static_cast<double>(result.samples.size()) *
                          static_cast<double>(result.runs_per_sample);
  const auto samples = static_cast<int64_t>(result.samples.size());
  return {.repetitions = static_cast<int>(std::min(kMostStepRepetitions, samples)),
          .max_seconds = kStepSeconds + kStepShare * measured};
}

absl::Status RecordSteps(const CellRun& run, const StepRange& whole) {
  BenchmarkResult& result = run.result;
  QTIPD_ASSIGN_OR_RETURN(result.steps, MeasureSteps(run.problem.spec.cache_mode, run.lease.device,
                                                    whole, result.latency.median, BudgetFor(result),
                                                    run.clock, run.is_cancelled));
  if (!StepsAddUp(result.steps, result.latency.median)) {
    result.warnings.emplace_back("STEPS_DO_NOT_ADD_UP");
  }
  return absl::OkStatus();
}

absl::Status RecordPhases(const CellRun& run, const StepRange& whole) {
  QTIPD_ASSIGN_OR_RETURN(run.result.phases,
                         MeasurePhaseBreakdown(run.problem.spec.cache_mode, run.lease.device, whole,
                                               run.is_cancelled));
  if (run.result.phases && !PhasesMatchShippedKernel(*run.result.phases)) {
    run.result.warnings.emplace_back("PHASES_DIFFER");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Beside(const std::string& name, const absl::Status& status, BenchmarkResult& result) {
  if (status.ok() || IsEndOfRun(status)) return status;
  result.notes[name + "_error"] = ErrorText(status);
  return absl::OkStatus();
}

void CompareWithCeiling(const CellRun& run, const PreparedPath& path, bool is_cache_cold) {
  const DeviceCeiling* ceiling = run.problem.ceiling;
  BenchmarkResult& result = run.result;
  if (ceiling == nullptr) return;
  if (!ceiling->problem.empty()) {
    result.notes["ceiling_error"] = ceiling->problem;
    result.warnings.emplace_back("CEILING_DOUBTFUL");
  }
  result.roofline = ComputeRoofline(
      *ceiling, {.is_cache_cold = is_cache_cold,
                 .bytes_per_run = result.bytes_per_run,
                 .scratch_bytes = path.scratch_bytes(),
                 .last_level_cache_bytes = run.lease.device.info().last_level_cache_bytes,
                 .operations = path.operations(),
                 .median_seconds = result.latency.median,
                 .clock_hertz = result.conditions.clock_hertz.value_or(0)});
  if (const double read = ReadSeconds(*ceiling, result.weight_bytes); read > 0) {
    result.packed_read_seconds = read;
  }
}

absl::Status MeasureBreakdowns(const CellRun& run, const StepRange& whole) {
  QTIPD_RETURN_IF_ERROR(Beside("energy", RecordEnergy(run, whole), run.result));
  QTIPD_RETURN_IF_ERROR(Beside("steps", RecordSteps(run, whole), run.result));
  return Beside("phases", RecordPhases(run, whole), run.result);
}

}  // namespace qtipd
