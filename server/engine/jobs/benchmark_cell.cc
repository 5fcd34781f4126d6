#include "server/engine/jobs/benchmark_cell.h"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/engine/harness/measure.h"
#include "server/engine/harness/sampling.h"
#include "server/engine/harness/statistics.h"
#include "server/engine/harness/step_breakdown.h"
#include "server/engine/harness/stopping.h"

namespace qtipd {
namespace {

// Replays for the step breakdown: enough for a steady median, few beside the measurement itself.
constexpr int64_t kMostStepRepetitions = 30;

constexpr double kMeasureEnd = 0.85;  // share of a cell's progress

// x and y of one cell in device memory, and how long they are.
struct Operands {
  Buffer x;
  Buffer y;
};

absl::StatusOr<Operands> MakeOperands(const CellProblem& problem, Device& device) {
  const size_t size = DTypeSize(device.info().compute_dtype);
  const Shape shape = problem.resident.shape();
  const size_t x_bytes = static_cast<size_t>(problem.batch * shape.in_features) * size;
  const size_t y_bytes = static_cast<size_t>(problem.batch * shape.out_features) * size;
  Operands operands;
  QTIPD_ASSIGN_OR_RETURN(operands.x, device.Allocate(x_bytes));
  QTIPD_ASSIGN_OR_RETURN(operands.y, device.Allocate(y_bytes));
  QTIPD_RETURN_IF_ERROR(
      device.CopyToDevice(operands.x.data(), problem.reference.x.data(), x_bytes));
  return operands;
}

absl::StatusOr<std::unique_ptr<PreparedPath>> Prepare(const CellProblem& problem,
                                                      DeviceLease& lease, BenchmarkResult& result) {
  Device& device = lease.device;
  QTIPD_ASSIGN_OR_RETURN(const DeviceMemory memory, device.Memory());
  const CopyPlan plan =
      PlanCopies(problem.spec.cache_mode, problem.path.WeightBytesPerCopy(problem.resident, device),
                 device.info(), memory.free_bytes);
  if (problem.spec.cache_mode == CacheMode::kRotate) {
    result.notes["rotation_exceeds_cache"] = plan.exceeds_cache ? "true" : "false";
  }
  return problem.path.Prepare(device, problem.resident, problem.batch, plan.copies);
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
  result.stop_reason = measurement.stop_reason;
  result.is_stable = result.samples.size() >= kMinSamplesForInterval &&
                     RelativeHalfWidth(result.latency) <= spec.relative_half_width;
  const double median = result.latency.median;
  if (median <= 0) return;
  result.effective_bytes_per_second = static_cast<double>(result.bytes_per_run) / median;
  result.tokens_per_second = static_cast<double>(result.batch) / median;
}

absl::Status CheckOutput(const CellProblem& problem, Device& device, const Buffer& y,
                         BenchmarkResult& result) {
  const DType dtype = device.info().compute_dtype;
  const size_t count = static_cast<size_t>(problem.batch * problem.resident.shape().out_features);
  std::vector<std::byte> output(count * DTypeSize(dtype));
  QTIPD_RETURN_IF_ERROR(device.CopyToHost(output.data(), y.data(), output.size()));
  result.relative_error = RelativeError(output, dtype, std::span(problem.reference.y).first(count));
  result.relative_error_bound = RelativeErrorBound(dtype);
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
  QTIPD_ASSIGN_OR_RETURN(const auto path, Prepare(problem, lease, result));
  Describe(problem, *path, result);
  const StepRange whole{.path = path.get(),
                        .x = operands.x.data(),
                        .y = operands.y.data(),
                        .first_step = 0,
                        .end_step = static_cast<int>(path->steps().size())};
  QTIPD_ASSIGN_OR_RETURN(const auto sampler, MakeSampler(device, whole));
  result.runs_per_sample = sampler->runs_per_sample();
  QTIPD_RETURN_IF_ERROR(WarmUp(*sampler));
  // All bits set is a NaN in F16 and F32: an output that the timed runs do not write cannot pass.
  QTIPD_RETURN_IF_ERROR(device.Fill(operands.y.data(), 0xFF, operands.y.bytes()));

  const std::string stage = result.path + " batch=" + std::to_string(result.batch);
  const auto is_cancelled = [&] { return progress.IsCancelled(); };
  const auto rule = MakeStoppingRule(problem.spec);
  QTIPD_ASSIGN_OR_RETURN(Measurement measurement,
                         Measure(*sampler, *rule, clock, is_cancelled, [&](double fraction) {
                           progress.Report(kMeasureEnd * fraction, stage);
                         }));
  Record(std::move(measurement), problem.spec, result);
  // Before the steps run on their own and overwrite y.
  const absl::Status correct = CheckOutput(problem, device, operands.y, result);
  const auto repetitions =
      static_cast<int>(std::min(kMostStepRepetitions, static_cast<int64_t>(result.samples.size())));
  QTIPD_ASSIGN_OR_RETURN(
      result.steps, MeasureSteps(device, whole, result.latency.median, repetitions, is_cancelled));
  progress.Report(1, stage);
  return correct;
}

}  // namespace qtipd
