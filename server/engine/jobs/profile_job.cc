#include "server/engine/jobs/profile_job.h"

#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/engine/harness/sampling.h"
#include "server/engine/jobs/batch.h"
#include "server/engine/jobs/environment.h"
#include "server/engine/jobs/load_job.h"
#include "server/engine/profile/metric_names.h"
#include "server/profiler/metric_presets.h"

namespace qtipd {
namespace {

constexpr double kLoadEnd = 0.2;  // share of the progress

// Copies as a benchmark with rotating copies would take, so that the counters see the same traffic.
absl::StatusOr<int> ChooseCopies(const ProfileSpec& spec, const JobContext& context,
                                 const LoadedArtifact& loaded, DeviceLease& lease) {
  QTIPD_ASSIGN_OR_RETURN(const InferencePath* path, context.registry.FindPath(spec.path));
  QTIPD_ASSIGN_OR_RETURN(const DeviceMemory memory, lease.device.Memory());
  const uint64_t bytes = path->WeightBytesPerCopy(*loaded.resident, lease.device);
  return PlanCopies(CacheMode::kRotate, bytes, lease.device.info(), memory.free_bytes).copies;
}

ProfileTask MakeTask(const ProfileSpec& spec, const DeviceInfo& device, int copies,
                     std::string artifact_path) {
  ProfileTask task;
  task.artifact_path = std::move(artifact_path);
  task.device = device.id;
  task.path = spec.path;
  task.step = spec.step;
  task.batch = spec.batch;
  task.activation_dtype = spec.activation_dtype;
  task.copies = copies;
  task.seed = spec.seed;
  task.preset = spec.preset;
  task.metrics = spec.metrics;
  task.samples_program_counters = spec.samples_instructions;
  return task;
}

ProfileRecord Describe(const ProfileSpec& spec, const ArtifactRecord& artifact,
                       const JobContext& context, DeviceLease& lease) {
  const DeviceInfo& device = lease.device.info();
  ProfileRecord profile;
  profile.artifact = artifact.name;
  profile.artifact_sha256 = artifact.sha256;
  profile.format = artifact.format;
  profile.options = artifact.options;
  profile.shape = artifact.shape;
  profile.path = spec.path;
  profile.step = spec.step;
  profile.batch = spec.batch;
  profile.preset = spec.preset;
  profile.device = device.id;
  profile.device_name = device.name;
  profile.environment = CaptureEnvironment(context.build_info, device, lease.monitor);
  profile.create_time = context.clock.NowUnixMillis();
  return profile;
}

}  // namespace

absl::Status CheckProfile(const ProfileSpec& spec, const JobContext& context) {
  QTIPD_RETURN_IF_ERROR(context.artifacts.Get(spec.artifact).status());
  QTIPD_RETURN_IF_ERROR(context.registry.FindPath(spec.path).status());
  QTIPD_RETURN_IF_ERROR(CheckBatch("batch", spec.batch));
  if (!spec.preset.empty()) QTIPD_RETURN_IF_ERROR(CheckPreset(spec.preset));
  if (spec.preset.empty() && spec.metrics.empty() && !spec.samples_instructions) {
    return InvalidField("METRICS_MISSING", "preset and metrics", "nothing",
                        "a preset, metrics, or instructions");
  }
  return CheckMetrics(spec.metrics);
}

absl::StatusOr<std::string> RunProfile(const ProfileSpec& spec, const JobContext& context,
                                       ProfileCollector& collector, DeviceLease& lease,
                                       Progress& progress) {
  const double start = context.clock.MonotonicSeconds();
  QTIPD_ASSIGN_OR_RETURN(const DType activations,
                         ActivationDType(lease.device.info(), spec.activation_dtype));
  progress.Report(0, "load");
  QTIPD_ASSIGN_OR_RETURN(const LoadedArtifact loaded,
                         LoadArtifact(spec.artifact, false, context, lease));
  ProfileRecord profile = Describe(spec, loaded.record, context, lease);
  profile.activation_dtype = DTypeName(activations);
  QTIPD_ASSIGN_OR_RETURN(profile.copies, ChooseCopies(spec, context, loaded, lease));
  progress.Report(kLoadEnd, "profile");
  const ProfileTask task =
      MakeTask(spec, lease.device.info(), profile.copies, context.artifacts.PathOf(loaded.record));
  QTIPD_ASSIGN_OR_RETURN(profile.data,
                         collector.Collect(task, [&] { return progress.IsCancelled(); }));
  profile.seconds = context.clock.MonotonicSeconds() - start;
  return context.history.InsertProfile(profile);
}

}  // namespace qtipd
