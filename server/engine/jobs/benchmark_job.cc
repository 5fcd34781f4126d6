#include "server/engine/jobs/benchmark_job.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/base/log_text.h"
#include "server/engine/harness/comparability.h"
#include "server/engine/harness/correctness.h"
#include "server/engine/harness/held_clocks.h"
#include "server/engine/harness/stopping.h"
#include "server/engine/jobs/batch.h"
#include "server/engine/jobs/benchmark_cell.h"
#include "server/engine/jobs/environment.h"
#include "server/engine/jobs/load_job.h"
#include "server/engine/jobs/obtain_ceiling.h"
#include "server/engine/jobs/run_errors.h"
#include "spdlog/spdlog.h"

namespace qtipd {
namespace {

constexpr size_t kMostCells = 256;

// Share of the progress for loading the artefact and computing the reference.
constexpr double kReferenceEnd = 0.05;

absl::StatusOr<ReferenceCase> MakeReference(const BenchmarkSpec& spec, const JobContext& context,
                                            const LoadedArtifact& loaded, DType activations) {
  QTIPD_ASSIGN_OR_RETURN(const WeightFormat* format,
                         context.registry.FindFormat(loaded.layer.format));
  // The rows of the largest batch serve all smaller ones.
  const int64_t batch = *std::max_element(spec.batches.begin(), spec.batches.end());
  return MakeReferenceCase(*format, loaded.layer, activations, spec.seed, batch);
}

RunRecord DescribeRun(const LoadedArtifact& loaded, const JobContext& context, DeviceLease& lease) {
  const DeviceInfo& device = lease.device.info();
  RunRecord run;
  run.artifact = loaded.record.name;
  run.artifact_sha256 = loaded.record.sha256;
  run.format = loaded.record.format;
  run.options = loaded.record.options;
  run.shape = loaded.record.shape;
  run.quality = loaded.record.quality;
  run.device = device.id;
  run.device_name = device.name;
  run.environment = CaptureEnvironment(context.build_info, device, lease.monitor);
  run.create_time = context.clock.NowUnixMillis();
  return run;
}

// The clock that the device has by default under load, and where LockClocks holds it, in hertz; 0
// where the device does not tell.
double DefaultClock(const RunRecord& run) {
  const auto fact = run.environment.find("clock_sm_default_hertz");
  double hertz = 0;
  return fact != run.environment.end() && absl::SimpleAtod(fact->second, &hertz) ? hertz : 0;
}

// Fills run.results.
absl::Status MeasureCells(const BenchmarkSpec& spec, const JobContext& context,
                          const LoadedArtifact& loaded, const ReferenceCase& reference,
                          DeviceLease& lease, Progress& progress, RunRecord& run) {
  progress.Report(kReferenceEnd, "ceiling");
  QTIPD_ASSIGN_OR_RETURN(const std::optional<DeviceCeiling> ceiling,
                         ObtainCeiling(lease, context.ceilings, progress));
  std::vector<BenchmarkResult>& results = run.results;
  const double share =
      (1 - kReferenceEnd) / static_cast<double>(spec.paths.size() * spec.batches.size());
  for (const std::string& path_id : spec.paths) {
    QTIPD_ASSIGN_OR_RETURN(const InferencePath* path, context.registry.FindPath(path_id));
    for (const int64_t batch : spec.batches) {
      BenchmarkResult& result = results.emplace_back();
      result.path = path_id;
      result.batch = batch;
      result.activation_dtype = DTypeName(reference.activations);
      result.cache_mode = spec.cache_mode;
      const double begin = kReferenceEnd + share * static_cast<double>(results.size() - 1);
      PartialProgress cell_progress(progress, begin, begin + share);
      const CellProblem problem{.spec = spec,
                                .path = *path,
                                .batch = batch,
                                .resident = *loaded.resident,
                                .reference = reference,
                                .default_clock_hertz = DefaultClock(run),
                                .ceiling = ceiling ? &*ceiling : nullptr};
      const double start = context.clock.MonotonicSeconds();
      result.status = MeasureCell(problem, lease, context.clock, cell_progress, result);
      result.wall_seconds = context.clock.MonotonicSeconds() - start;
      result.comparability_key = ComparabilityKey(run, result);
      if (result.status.ok()) continue;
      if (IsEndOfRun(result.status)) return result.status;
      spdlog::warn("benchmark_cell_failed artifact={} path={} batch={} {}", loaded.record.name,
                   path_id, batch, LogStatus(result.status));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckBenchmark(const BenchmarkSpec& spec, const JobContext& context) {
  QTIPD_RETURN_IF_ERROR(context.artifacts.Get(spec.artifact).status());
  if (spec.paths.empty()) {
    return InvalidField("PATHS_MISSING", "paths", "nothing", "at least one path");
  }
  for (const std::string& path : spec.paths) {
    QTIPD_RETURN_IF_ERROR(context.registry.FindPath(path).status());
  }
  if (spec.batches.empty()) {
    return InvalidField("BATCH_INVALID", "batches", "nothing", "at least one batch size");
  }
  for (const int64_t batch : spec.batches) {
    QTIPD_RETURN_IF_ERROR(CheckBatch("batches", batch));
  }
  if (spec.paths.size() > kMostCells || spec.batches.size() > kMostCells / spec.paths.size()) {
    return InvalidField(
        "TOO_MANY_CELLS", "paths times batches",
        std::to_string(spec.paths.size()) + " times " + std::to_string(spec.batches.size()),
        "at most " + std::to_string(kMostCells) + " cells");
  }
  return CheckStopping(spec);
}

absl::StatusOr<std::string> RunBenchmark(const BenchmarkSpec& spec, const JobContext& context,
                                         DeviceLease& lease, Progress& progress) {
  const double start = context.clock.MonotonicSeconds();
  progress.Report(0, "load");
  // First, so that a refusal costs nothing; released on every way out.
  std::unique_ptr<HeldClocks> held_clocks;
  if (spec.lock_clocks) {
    QTIPD_ASSIGN_OR_RETURN(held_clocks, HeldClocks::Acquire(lease.monitor));
  }
  QTIPD_ASSIGN_OR_RETURN(const LoadedArtifact loaded,
                         LoadArtifact(spec.artifact, false, context, lease));
  progress.Report(kReferenceEnd / 2, "reference");
  QTIPD_ASSIGN_OR_RETURN(const DType activations,
                         ActivationDType(lease.device.info(), spec.activation_dtype));
  QTIPD_ASSIGN_OR_RETURN(const ReferenceCase reference,
                         MakeReference(spec, context, loaded, activations));
  RunRecord run = DescribeRun(loaded, context, lease);
  run.spec = WithStoppingDefaults(spec);
  run.spec->device = run.device;
  run.spec->activation_dtype = DTypeName(activations);
  QTIPD_RETURN_IF_ERROR(MeasureCells(spec, context, loaded, reference, lease, progress, run));
  run.seconds = context.clock.MonotonicSeconds() - start;
  context.metrics.BenchmarkFinished(run);
  const bool any_ok = std::any_of(run.results.begin(), run.results.end(),
                                  [](const BenchmarkResult& result) { return result.status.ok(); });
  if (!any_ok) return run.results.front().status;
  return context.history.InsertRun(run);
}

}  // namespace qtipd
