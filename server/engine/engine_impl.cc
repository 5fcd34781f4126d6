#include "server/engine/engine_impl.h"

#include <cstdlib>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/base/log_text.h"
#include "server/engine/profile/metric_names.h"
#include "server/engine/run_guarded.h"
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
