#include "server/engine/jobs/benchmark_cell.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/engine/harness/conditions_watch.h"
#include "server/engine/harness/measure.h"
#include "server/engine/harness/sampling.h"
#include "server/engine/harness/statistics.h"
#include "server/engine/harness/stopping.h"
#include "server/engine/jobs/cell_breakdown.h"

namespace qtipd {
namespace {

constexpr double kMeasureEnd = 0.85;  // share of a cell's progress

// x and y of one cell in device memory.
struct Operands {
  SpreadBuffer x;
  SpreadBuffer y;
};

absl::StatusOr<Operands> MakeOperands(const CellProblem& problem, Device& device) {
  const size_t size = DTypeSize(problem.reference.activations);
  const Shape shape = problem.resident.shape();
  const size_t x_bytes = static_cast<size_t>(problem.batch * shape.in_features) * size;
  const size_t y_bytes = static_cast<size_t>(problem.batch * shape.out_features) * size;
  QTIPD_ASSIGN_OR_RETURN(SpreadBuffer x, SpreadBuffer::Allocate(device, x_bytes));
  QTIPD_ASSIGN_OR_RETURN(SpreadBuffer y, SpreadBuffer::Allocate(device, y_bytes));
  QTIPD_RETURN_IF_ERROR(x.CopyToDevice(device, problem.reference.x.data()));
  return Operands{std::move(x), std::move(y)};
}

// A path, and whether every run of it finds its weights in no cache.
struct PreparedCell {
  std::unique_ptr<PreparedPath> path;
  bool is_cache_cold = false;
};

absl::StatusOr<PreparedCell> Prepare(const CellProblem& problem, DeviceLease& lease,
                                     BenchmarkResult& result) {
  Device& device = lease.device;
  QTIPD_ASSIGN_OR_RETURN(const DeviceMemory memory, device.Memory());
  const CopyPlan plan =
      PlanCopies(problem.spec.cache_mode, problem.path.WeightBytesPerCopy(problem.resident, device),
                 device.info(), memory.free_bytes);
  const bool rotates = problem.spec.cache_mode == CacheMode::kRotate;
  if (rotates) {
    result.notes["rotation_exceeds_cache"] = plan.exceeds_cache ? "true" : "false";
    if (!plan.exceeds_cache) result.warnings.emplace_back("ROTATION_IN_CACHE");
  }
  PreparedCell cell;
  cell.is_cache_cold = rotates ? plan.exceeds_cache : problem.spec.cache_mode == CacheMode::kCold;
  QTIPD_ASSIGN_OR_RETURN(cell.path,
                         problem.path.Prepare(device, problem.resident,
                                              {.batch = problem.batch,
                                               .copies = plan.copies,
                                               .activations = problem.reference.activations}));
  return cell;
}

void Describe(const CellProblem& problem, const PreparedPath& path, BenchmarkResult& result) {
  const Shape shape = problem.resident.shape();
  const double fp16_bytes =
      2.0 * static_cast<double>(shape.out_features) * static_cast<double>(shape.in_features);
  result.copies = path.copies();
  result.bytes_per_run = path.bytes_per_run();
  result.weight_bytes = path.weight_bytes();
  result.compression_ratio = fp16_bytes / static_cast<double>(path.weight_bytes());
  for (auto& [key, value] : path.notes()) result.notes[key] = value;
}

void Record(Measurement measurement, const BenchmarkSpec& spec, BenchmarkResult& result) {
  result.latency = measurement.statistics;
  result.samples = std::move(measurement.samples);
  result.sample_clock_hertz = std::move(measurement.sample_clock_hertz);
  result.stop_reason = measurement.stop_reason;
  result.is_stable = result.samples.size() >= kMinSamplesForInterval &&
                     RelativeHalfWidth(result.latency) <= spec.relative_half_width;
  const double median = result.latency.median;
  if (median <= 0) return;
  result.effective_bytes_per_second = static_cast<double>(result.bytes_per_run) / median;
  result.tokens_per_second = static_cast<double>(result.batch) / median;
}

void RecordConditions(const ConditionsWatch& watch, const BenchmarkSpec& spec,
                      BenchmarkResult& result) {
  result.conditions = watch.Summary(result.sample_clock_hertz);
  result.conditions.clock_policy = spec.lock_clocks ? "locked" : "default";
  for (std::string& warning : watch.Warnings()) result.warnings.push_back(std::move(warning));
  if (!result.is_stable) result.warnings.emplace_back("UNSTABLE");
}

// The clock that samples are judged by: the one that is held, else what the warm-up reached.
double Reference(const CellProblem& problem, std::span<const double> warm_up_clocks) {
  const bool is_held = problem.spec.lock_clocks && problem.default_clock_hertz > 0;
  return is_held ? problem.default_clock_hertz : ReferenceClock(warm_up_clocks);
}

absl::Status RecordReplayOverhead(const CellRun& run) {
  QTIPD_ASSIGN_OR_RETURN(run.result.replay_overhead_seconds,
                         MeasureReplayOverhead(run.lease.device));
  return absl::OkStatus();
}

// Judged, timed samples of the whole path, and what the device was like meanwhile.
absl::Status MeasureLatency(const CellRun& run, Sampler& sampler, const Buffer& y) {
  const auto& [problem, lease, clock, is_cancelled, report, result] = run;
  QTIPD_ASSIGN_OR_RETURN(const std::vector<double> clocks, WarmUp(sampler, clock, kWarmUpSeconds));
  QTIPD_RETURN_IF_ERROR(Beside("replay_overhead", RecordReplayOverhead(run), result));
  // All bits set is a NaN in F16, BF16 and F32: an output that the timed runs do not write cannot
  // pass.
  QTIPD_RETURN_IF_ERROR(lease.device.Fill(y.data(), 0xFF, y.bytes()));
  ConditionsWatch watch(lease.monitor, clock);
  watch.SetReference(Reference(problem, clocks));
  watch.SetDefaultClock(problem.default_clock_hertz);
  const auto rule = MakeStoppingRule(problem.spec, sampler.runs_per_sample());
  watch.Begin();
  QTIPD_ASSIGN_OR_RETURN(Measurement measurement, Measure({.sampler = sampler,
                                                           .rule = *rule,
                                                           .watch = watch,
                                                           .clock = clock,
                                                           .is_cancelled = is_cancelled,
                                                           .progress = report}));
  watch.End();
  Record(std::move(measurement), problem.spec, result);
  RecordConditions(watch, problem.spec, result);
  return absl::OkStatus();
}

absl::Status CheckOutput(const CellProblem& problem, Device& device, const void* y,
                         BenchmarkResult& result) {
  const DType dtype = problem.reference.activations;
  const size_t count = static_cast<size_t>(problem.batch * problem.resident.shape().out_features);
  std::vector<std::byte> output(count * DTypeSize(dtype));
  QTIPD_RETURN_IF_ERROR(device.CopyToHost(output.data(), y, output.size()));
  result.relative_error = RelativeError(output, dtype, std::span(problem.reference.y).first(count));
  result.relative_error_bound =
      RelativeErrorBound(dtype, device.info().compute_dtype) + problem.path.designed_error();
  if (result.relative_error <= result.relative_error_bound) return absl::OkStatus();
  return FieldError(absl::StatusCode::kInternal, "RESULT_INCORRECT",
                    "relative_error of path " + result.path, OptionText(result.relative_error),
                    "at most " + OptionText(result.relative_error_bound));
}

}  // namespace

absl::Status MeasureCell(const CellProblem& problem, DeviceLease& lease, Clock& clock,
                         Progress& progress, BenchmarkResult& result) {
  Device& device = lease.device;
  QTIPD_ASSIGN_OR_RETURN(const Operands operands, MakeOperands(problem, device));
  QTIPD_ASSIGN_OR_RETURN(const PreparedCell cell, Prepare(problem, lease, result));
  Describe(problem, *cell.path, result);
  const StepRange whole{.path = cell.path.get(),
                        .places = PairPlaces(operands.x, operands.y),
                        .first_step = 0,
                        .end_step = static_cast<int>(cell.path->steps().size())};
  QTIPD_ASSIGN_OR_RETURN(const auto sampler, MakeSampler(problem.spec.cache_mode, device, whole));
  result.runs_per_sample = sampler->runs_per_sample();
  const std::string stage = result.path + " batch=" + std::to_string(result.batch);
  const CellRun run{
      .problem = problem,
      .lease = lease,
      .clock = clock,
      .is_cancelled = [&] { return progress.IsCancelled(); },
      .report = [&](double fraction) { progress.Report(kMeasureEnd * fraction, stage); },
      .result = result};
  QTIPD_RETURN_IF_ERROR(MeasureLatency(run, *sampler, operands.y.whole()));
  // Before the steps run on their own and overwrite y.
  const absl::Status correct = CheckOutput(problem, device, operands.y.at(0), result);
  CompareWithCeiling(run, *cell.path, cell.is_cache_cold);
  QTIPD_RETURN_IF_ERROR(MeasureBreakdowns(run, whole));
  progress.Report(1, stage);
  return correct;
}

}  // namespace qtipd
