// Starting operations: what a request names is checked, written down and enqueued.
#include <memory>
#include <optional>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/engine/engine_impl.h"
#include "server/engine/jobs/benchmark_job.h"
#include "server/engine/jobs/calibrate_job.h"
#include "server/engine/jobs/import_job.h"
#include "server/engine/jobs/import_model_job.h"
#include "server/engine/jobs/load_job.h"
#include "server/engine/jobs/profile_job.h"
#include "server/engine/jobs/quantize_job.h"
#include "server/engine/jobs/recipe.h"
#include "server/engine/run_guarded.h"

namespace qtipd {

absl::Status EngineImpl::CheckServing() const {
  if (!is_draining_) return absl::OkStatus();
  return MakeError(absl::StatusCode::kUnavailable, "SERVER_DRAINING", "the daemon is stopping");
}

absl::StatusOr<std::optional<OperationRecord>> EngineImpl::Admit(const OperationRequest& request) {
  QTIPD_RETURN_IF_ERROR(CheckServing());
  return operations_.FindStarted(request);
}

absl::StatusOr<DeviceExecutor*> EngineImpl::FindExecutor(const std::string& device) {
  std::string known;
  for (const auto& executor : executors_) {
    const bool is_healthy = executor->status().is_healthy;
    if (device.empty() ? is_healthy : device == executor->id()) return executor.get();
    known += (known.empty() ? "" : ", ") + executor->id();
  }
  if (device.empty()) {
    return MakeError(absl::StatusCode::kUnavailable, "DEVICE_UNHEALTHY",
                     "no device of this daemon is healthy (" + known + ")");
  }
  return InvalidField("DEVICE_NOT_FOUND", "device", device, known);
}

absl::StatusOr<OperationRecord> EngineImpl::Enqueue(
    const OperationRequest& request, const std::function<absl::Status(std::string)>& enqueue) {
  QTIPD_ASSIGN_OR_RETURN(Operations::Created created, operations_.Create(request));
  if (!created.is_new) return std::move(created.record);
  const absl::Status enqueued = enqueue(created.record.id);
  if (!enqueued.ok()) {
    operations_.Discard(created.record.id);
    return enqueued;
  }
  return std::move(created.record);
}

absl::StatusOr<OperationRecord> EngineImpl::StartOnDevice(OperationRequest request,
                                                          DeviceExecutor& executor, DeviceJob job,
                                                          Inputs inputs) {
  request.device = executor.id();
  return Enqueue(request, [&](std::string id) {
    return executor.Enqueue([this, id = std::move(id), job = std::move(job),
                             inputs = std::move(inputs)](DeviceLease& lease) {
      if (const std::shared_ptr<Progress> progress = operations_.Begin(id)) {
        operations_.Finish(id, lease.health.ok() ? RunGuarded([&] { return job(lease, *progress); })
                                                 : absl::StatusOr<std::string>(lease.health));
      }
    });
  });
}

absl::StatusOr<OperationRecord> EngineImpl::StartOnHost(OperationRequest request, HostJob job,
                                                        Inputs inputs) {
  return Enqueue(request, [&](std::string id) {
    return host_worker_.Enqueue(
        [this, id = std::move(id), job = std::move(job), inputs = std::move(inputs)] {
          if (const std::shared_ptr<Progress> progress = operations_.Begin(id)) {
            operations_.Finish(id, RunGuarded([&] { return job(*progress); }));
          }
        });
  });
}

absl::StatusOr<OperationRecord> EngineImpl::StartQuantize(const QuantizeSpec& spec) {
  Inputs inputs;
  if (spec.tensor) {
    inputs = {files_.Hold(spec.tensor->file), files_.Hold(spec.tensor->hessian_file)};
  }
  OperationRequest request{.kind = "quantize",
                           .target = spec.name,
                           .request_id = spec.request_id,
                           .spec_sha256 = SpecSha256(spec)};
  QTIPD_ASSIGN_OR_RETURN(std::optional<OperationRecord> started, Admit(request));
  if (started) return *std::move(started);
  QTIPD_RETURN_IF_ERROR(CheckQuantize(spec, Context()));
  QTIPD_ASSIGN_OR_RETURN(DeviceExecutor * executor, FindExecutor(spec.device));
  QTIPD_RETURN_IF_ERROR(
      parts_.registry->FindBackend(spec.format, executor->info().backend).status());
  return StartOnDevice(
      std::move(request), *executor,
      [this, spec](DeviceLease& lease, Progress& progress) {
        return RunQuantize(spec, Context(), lease, progress);
      },
      std::move(inputs));
}

absl::StatusOr<OperationRecord> EngineImpl::StartImport(const ImportSpec& spec) {
  Inputs inputs = {files_.Hold(spec.file)};
  QTIPD_ASSIGN_OR_RETURN(const bool is_model, IsModelImport(spec, Context()));
  OperationRequest request{.kind = is_model ? "import_model" : "import",
                           .target = spec.name,
                           .request_id = spec.request_id,
                           .spec_sha256 = SpecSha256(spec)};
  QTIPD_ASSIGN_OR_RETURN(std::optional<OperationRecord> started, Admit(request));
  if (started) return *std::move(started);
  QTIPD_RETURN_IF_ERROR(is_model ? CheckModelImport(spec, Context())
                                 : CheckImport(spec, Context()));
  return StartOnHost(
      std::move(request),
      [this, spec, is_model](Progress& progress) {
        return is_model ? RunModelImport(spec, Context(), progress)
                        : RunImport(spec, Context(), progress);
      },
      std::move(inputs));
}

absl::StatusOr<OperationRecord> EngineImpl::StartCalibrate(const CalibrateSpec& spec) {
  Inputs inputs = {files_.Hold(spec.file)};
  OperationRequest request{.kind = "calibrate",
                           .target = spec.name,
                           .request_id = spec.request_id,
                           .spec_sha256 = SpecSha256(spec)};
  QTIPD_ASSIGN_OR_RETURN(std::optional<OperationRecord> started, Admit(request));
  if (started) return *std::move(started);
  QTIPD_RETURN_IF_ERROR(CheckCalibrate(spec, Context()));
  QTIPD_ASSIGN_OR_RETURN(DeviceExecutor * executor, FindExecutor(spec.device));
  return StartOnDevice(
      std::move(request), *executor,
      [this, spec](DeviceLease&, Progress& progress) {
        return RunCalibrate(spec, Context(), progress);
      },
      std::move(inputs));
}

absl::StatusOr<OperationRecord> EngineImpl::StartBenchmark(const BenchmarkSpec& spec) {
  OperationRequest request{.kind = "benchmark",
                           .target = spec.artifact,
                           .request_id = spec.request_id,
                           .spec_sha256 = SpecSha256(spec)};
  QTIPD_ASSIGN_OR_RETURN(std::optional<OperationRecord> started, Admit(request));
  if (started) return *std::move(started);
  QTIPD_RETURN_IF_ERROR(CheckBenchmark(spec, Context()));
  QTIPD_ASSIGN_OR_RETURN(DeviceExecutor * executor, FindExecutor(spec.device));
  QTIPD_RETURN_IF_ERROR(ActivationDType(executor->info(), spec.activation_dtype).status());
  return StartOnDevice(std::move(request), *executor,
                       [this, spec](DeviceLease& lease, Progress& progress) {
                         return RunBenchmark(spec, Context(), lease, progress);
                       },
                       {});
}

absl::StatusOr<ProfileCollector*> EngineImpl::FindCollector() {
  if (parts_.config.profile_collector != nullptr) return parts_.config.profile_collector.get();
  return MakeError(absl::StatusCode::kInternal, "PROFILER_HELPER_FAILED",
                   "this daemon was started without qtip-profiler");
}

absl::Status EngineImpl::ValidateProfile(const ProfileSpec& spec) {
  QTIPD_RETURN_IF_ERROR(CheckServing());
  QTIPD_RETURN_IF_ERROR(CheckProfile(spec, Context()));
  QTIPD_RETURN_IF_ERROR(FindCollector().status());
  QTIPD_ASSIGN_OR_RETURN(DeviceExecutor * executor, FindExecutor(spec.device));
  return ActivationDType(executor->info(), spec.activation_dtype).status();
}

absl::StatusOr<OperationRecord> EngineImpl::StartProfile(const ProfileSpec& spec) {
  OperationRequest request{.kind = "profile",
                           .target = spec.artifact,
                           .request_id = spec.request_id,
                           .spec_sha256 = SpecSha256(spec)};
  QTIPD_ASSIGN_OR_RETURN(std::optional<OperationRecord> started, Admit(request));
  if (started) return *std::move(started);
  QTIPD_RETURN_IF_ERROR(CheckProfile(spec, Context()));
  QTIPD_ASSIGN_OR_RETURN(ProfileCollector * collector, FindCollector());
  QTIPD_ASSIGN_OR_RETURN(DeviceExecutor * executor, FindExecutor(spec.device));
  QTIPD_RETURN_IF_ERROR(ActivationDType(executor->info(), spec.activation_dtype).status());
  return StartOnDevice(std::move(request), *executor,
                       [this, spec, collector](DeviceLease& lease, Progress& progress) {
                         return RunProfile(spec, Context(), *collector, lease, progress);
                       },
                       {});
}

absl::StatusOr<OperationRecord> EngineImpl::StartLoad(const LoadSpec& spec) {
  OperationRequest request{.kind = "load", .target = spec.artifact};
  QTIPD_RETURN_IF_ERROR(Admit(request).status());
  QTIPD_RETURN_IF_ERROR(artifacts_.Get(spec.artifact).status());
  QTIPD_ASSIGN_OR_RETURN(DeviceExecutor * executor, FindExecutor(spec.device));
  return StartOnDevice(std::move(request), *executor,
                       [this, spec](DeviceLease& lease, Progress& progress) {
                         return RunLoad(spec, Context(), lease, progress);
                       },
                       {});
}

absl::StatusOr<OperationRecord> EngineImpl::StartUnload(const LoadSpec& spec) {
  OperationRequest request{.kind = "unload", .target = spec.artifact};
  QTIPD_RETURN_IF_ERROR(Admit(request).status());
  QTIPD_RETURN_IF_ERROR(artifacts_.Get(spec.artifact).status());
  QTIPD_ASSIGN_OR_RETURN(DeviceExecutor * executor, FindExecutor(spec.device));
  return StartOnDevice(std::move(request), *executor,
                       [this, spec](DeviceLease& lease, Progress& progress) {
                         return RunUnload(spec, Context(), lease, progress);
                       },
                       {});
}

}  // namespace qtipd
