#include "server/engine/engine_impl.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <optional>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/base/log_text.h"
#include "server/engine/jobs/benchmark_job.h"
#include "server/engine/jobs/calibrate_job.h"
#include "server/engine/jobs/import_job.h"
#include "server/engine/jobs/import_model_job.h"
#include "server/engine/jobs/load_job.h"
#include "server/engine/jobs/profile_job.h"
#include "server/engine/jobs/quantize_job.h"
#include "server/engine/jobs/recipe.h"
#include "server/engine/profile/metric_names.h"
#include "server/engine/store/exporter.h"
#include "server/engine/store/model_store.h"
#include "server/profiler/metric_presets.h"
#include "spdlog/spdlog.h"

namespace qtipd {
namespace {

constexpr size_t kMaxHostQueue = 64;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Runs a job: where the host has no memory left, the job ends and not the daemon.
template <typename Job>
auto RunGuarded(const Job& job) -> decltype(job()) {
  try {
    return job();
  } catch (const std::bad_alloc&) {
    return MakeError(absl::StatusCode::kResourceExhausted, "HOST_MEMORY_EXHAUSTED",
                     "the host has too little memory free for this work");
  }
}

DeviceReading ReadMonitor(const DeviceExecutor& executor, const DeviceStatus& status) {
  const bool is_busy = status.queue_depth > 0;
  return executor.monitor().Read(is_busy ? Freshness::kLast : Freshness::kGrid);
}

// What a stored ceiling belongs to: another build may measure in another way.
std::string BuildOf(const std::map<std::string, std::string>& build_info) {
  const auto commit = build_info.find("git_commit");
  const auto version = build_info.find("version");
  return (version != build_info.end() ? version->second : "") + "+" +
         (commit != build_info.end() ? commit->second : "");
}

}  // namespace

EngineImpl::EngineImpl(Parts parts)
    : parts_(std::move(parts)),
      artifacts_(parts_.directory.artifacts, *parts_.history, *parts_.registry, *parts_.metrics),
      hessians_(parts_.directory.hessians, *parts_.history),
      uploads_(parts_.directory.uploads, parts_.config.max_upload_bytes),
      files_(uploads_, parts_.config.server_paths),
      ceilings_(parts_.config.data_dir, ReadBootId(), BuildOf(parts_.config.build_info)),
      operations_(*parts_.history, *parts_.metrics, *parts_.clock),
      catalogue_desk_(*parts_.clock),
      baseline_(ReadHostBaseline()),
      host_worker_(kMaxHostQueue) {}

EngineImpl::~EngineImpl() { Shutdown(); }

absl::Status EngineImpl::Start(const std::vector<DeviceChoice>& choices) {
  QTIPD_RETURN_IF_ERROR(operations_.Restore());
  QTIPD_RETURN_IF_ERROR(artifacts_.Restore());
  QTIPD_RETURN_IF_ERROR(hessians_.Restore());
  for (const DeviceChoice& choice : choices) {
    DeviceExecutor::Config config;
    config.backend = choice.backend;
    config.index = choice.index;
    config.metrics = parts_.metrics;
    config.make_monitor = parts_.config.make_monitor;
    config.on_lost = [this](const std::string& device) { DeviceLost(device); };
    QTIPD_ASSIGN_OR_RETURN(auto executor, DeviceExecutor::Start(std::move(config)));
    spdlog::info("device_opened device={} name={}", executor->id(), LogText(executor->info().name));
    facts_[executor->id()] = executor->monitor().Facts();  // nothing else runs yet
    executors_.push_back(std::move(executor));
  }
  return absl::OkStatus();
}

JobContext EngineImpl::Context() {
  return {*parts_.registry,         artifacts_,      files_,
          *parts_.history,          *parts_.metrics, *parts_.clock,
          parts_.config.build_info, ceilings_,       hessians_};
}

std::vector<DeviceStatus> EngineImpl::ListDevices() {
  std::vector<DeviceStatus> devices;
  for (const auto& executor : executors_) {
    devices.push_back(executor->status());
    devices.back().ceiling = ceilings_.Find(executor->info());
  }
  return devices;
}

std::vector<DeviceStatus> EngineImpl::ReadDevices() {
  std::vector<DeviceStatus> devices = ListDevices();
  for (size_t i = 0; i < devices.size(); ++i) {
    devices[i].reading = ReadMonitor(*executors_[i], devices[i]);
  }
  return devices;
}

absl::StatusOr<std::unique_ptr<UploadStream>> EngineImpl::BeginUpload() { return uploads_.Begin(); }

// ---- Starting operations ----

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
  return FindExecutor(spec.device).status();
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

// ---- Operations ----

absl::StatusOr<OperationRecord> EngineImpl::GetOperation(const std::string& id) {
  return operations_.Get(id);
}

absl::StatusOr<Page<OperationRecord>> EngineImpl::ListOperations(const PageRequest& page) {
  return operations_.List(page);
}

absl::Status EngineImpl::CancelOperation(const std::string& id) { return operations_.Cancel(id); }

absl::Status EngineImpl::DeleteOperation(const std::string& id) { return operations_.Delete(id); }

absl::StatusOr<std::unique_ptr<Subscription>> EngineImpl::WatchOperation(
    const std::string& id, std::function<void(const OperationRecord&)> callback) {
  return operations_.Watch(id, std::move(callback));
}

// ---- Artefacts ----

void EngineImpl::FillLoadedOn(ArtifactRecord& record) {
  for (const auto& executor : executors_) {
    if (executor->IsResident(record.sha256)) record.loaded_on.push_back(executor->id());
  }
}

absl::StatusOr<ArtifactRecord> EngineImpl::GetArtifact(const std::string& name) {
  QTIPD_ASSIGN_OR_RETURN(ArtifactRecord record, artifacts_.Get(name));
  FillLoadedOn(record);
  return record;
}

absl::StatusOr<Page<ArtifactRecord>> EngineImpl::ListArtifacts(const PageRequest& page) {
  QTIPD_ASSIGN_OR_RETURN(Page<ArtifactRecord> records, artifacts_.List(page));
  for (ArtifactRecord& record : records.items) FillLoadedOn(record);
  return records;
}

void EngineImpl::ReleaseResident(const std::string& sha256) {
  for (const auto& executor : executors_) {
    executor->EnqueueHousekeeping([this, sha256](DeviceLease& lease) {
      // Another name may have got the file since.
      const absl::StatusOr<bool> is_used = artifacts_.HasFile(sha256);
      if (is_used.ok() && !*is_used) lease.residents.Remove(sha256);
    });
  }
}

absl::Status EngineImpl::DeleteArtifact(const std::string& name) {
  QTIPD_ASSIGN_OR_RETURN(const ArtifactRecord record, artifacts_.Delete(name));
  spdlog::info("artifact_deleted artifact={}", name);
  ReleaseResident(record.sha256);
  return absl::OkStatus();
}

// ---- Models and Hessians ----

absl::StatusOr<ModelView> EngineImpl::GetModel(const std::string& name) {
  return ReadModel(name, *parts_.history, artifacts_, *parts_.registry);
}

absl::Status EngineImpl::DeleteModel(const std::string& name) {
  QTIPD_ASSIGN_OR_RETURN(const std::vector<ArtifactRecord> records, artifacts_.DeleteModel(name));
  spdlog::info("model_deleted model={} artifacts={}", LogText(name), records.size());
  for (const ArtifactRecord& record : records) ReleaseResident(record.sha256);
  return absl::OkStatus();
}

absl::StatusOr<HessianRecord> EngineImpl::GetHessian(const std::string& name) {
  return hessians_.Get(name);
}

absl::StatusOr<Page<HessianRecord>> EngineImpl::ListHessians(const PageRequest& page) {
  return hessians_.List(page);
}

absl::Status EngineImpl::DeleteHessian(const std::string& name) {
  QTIPD_RETURN_IF_ERROR(hessians_.Delete(name));
  spdlog::info("hessian_deleted hessian={}", name);
  return absl::OkStatus();
}

void EngineImpl::ExportArtifact(
    const std::string& name, ExportForm form,
    std::function<void(absl::StatusOr<std::unique_ptr<ExportStream>>)> done) {
  const auto prepare = [this, name, form]() -> absl::StatusOr<std::unique_ptr<ExportStream>> {
    QTIPD_ASSIGN_OR_RETURN(const ArtifactRecord record, artifacts_.Get(name));
    QTIPD_ASSIGN_OR_RETURN(const PackedLayer layer, artifacts_.Read(record));
    return PrepareExport(layer, form, *parts_.registry, parts_.directory.uploads);
  };
  const absl::Status enqueued =
      host_worker_.Enqueue([prepare, done] { done(RunGuarded(prepare)); });
  if (!enqueued.ok()) done(enqueued);
}

// ---- Runs ----

absl::StatusOr<RunRecord> EngineImpl::GetRun(const std::string& id) {
  return parts_.history->GetRun(id);
}

absl::StatusOr<Page<RunRecord>> EngineImpl::ListRuns(const PageRequest& page) {
  return parts_.history->ListRuns(page);
}

// Asking a driver takes milliseconds of it, so a device that works is left alone.
std::map<std::string, std::string> EngineImpl::FactsOf(const DeviceExecutor& executor,
                                                       const DeviceStatus& status) {
  if (status.queue_depth == 0) {
    std::map<std::string, std::string> facts = executor.monitor().Facts();
    std::lock_guard lock(facts_mutex_);
    return facts_[executor.id()] = std::move(facts);
  }
  std::lock_guard lock(facts_mutex_);
  return facts_[executor.id()];
}

absl::StatusOr<std::vector<Finding>> EngineImpl::RunDoctor(const std::string& device) {
  DoctorInput input;
  std::string known;
  for (const auto& executor : executors_) {
    known += (known.empty() ? "" : ", ") + executor->id();
    if (!device.empty() && device != executor->id()) continue;
    DeviceStatus status = executor->status();
    status.reading = ReadMonitor(*executor, status);
    input.devices.push_back({status, FactsOf(*executor, status)});
  }
  if (input.devices.empty()) return InvalidField("DEVICE_NOT_FOUND", "device", device, known);
  input.device_selection = parts_.config.device_selection;
  input.backends = parts_.backend_status;
  input.host = ReadHostSnapshot({.data_dir = parts_.config.data_dir,
                                 .path = Environment("PATH"),
                                 .library_path = Environment("LD_LIBRARY_PATH"),
                                 .cuda_home = Environment("CUDA_HOME"),
                                 .profiler = parts_.config.profiler},
                                baseline_);
  return Diagnose(input);
}

// ---- Profiles ----

absl::StatusOr<ProfileRecord> EngineImpl::GetProfile(const std::string& id) {
  return parts_.history->GetProfile(id);
}

absl::StatusOr<Page<ProfileRecord>> EngineImpl::ListProfiles(const PageRequest& page) {
  return parts_.history->ListProfiles(page);
}

absl::StatusOr<MetricCatalogue> EngineImpl::ReadMetricCatalogue(
    const CatalogueTask& task, const std::function<bool()>& is_cancelled) {
  QTIPD_RETURN_IF_ERROR(CheckServing());
  QTIPD_RETURN_IF_ERROR(CheckMetrics(task.metrics));
  if (!task.preset.empty()) QTIPD_RETURN_IF_ERROR(CheckPreset(task.preset));
  if (!task.chip.empty()) QTIPD_RETURN_IF_ERROR(CheckChip(task.chip));
  DeviceExecutor* executor = nullptr;
  if (task.chip.empty()) {
    QTIPD_ASSIGN_OR_RETURN(executor, FindExecutor(task.device));
  }
  QTIPD_ASSIGN_OR_RETURN(ProfileCollector * collector, FindCollector());
  absl::StatusOr<MetricCatalogue> catalogue = catalogue_desk_.Ask(
      *collector, task, executor, [&] { return is_draining_ || (is_cancelled && is_cancelled()); });
  if (!catalogue.ok()) QTIPD_RETURN_IF_ERROR(CheckServing());  // it is why that was cancelled
  return catalogue;
}

// ---- Life ----

void EngineImpl::SetDeviceLostHandler(std::function<void(const std::string& device)> handler) {
  std::string lost;
  {
    std::lock_guard lock(lost_mutex_);
    lost_handler_ = handler;
    lost = lost_device_;
  }
  if (!lost.empty() && handler) handler(lost);
}

void EngineImpl::DeviceLost(const std::string& device) {
  std::function<void(const std::string&)> handler;
  {
    std::lock_guard lock(lost_mutex_);
    if (!lost_device_.empty()) return;  // the handler is called once
    lost_device_ = device;
    handler = lost_handler_;
  }
  if (handler) handler(device);
}

void EngineImpl::Shutdown() {
  is_draining_ = true;
  operations_.InterruptAll();
  for (const auto& executor : executors_) executor->Stop();
  host_worker_.Stop();
  operations_.Stop();
}

}  // namespace qtipd
