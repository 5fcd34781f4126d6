// Engine over a data directory and its devices; made by Engine::Create.
#ifndef QTIPD_SERVER_ENGINE_ENGINE_IMPL_H_
#define QTIPD_SERVER_ENGINE_ENGINE_IMPL_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "server/engine/device/ceiling_store.h"
#include "server/engine/device/device_executor.h"
#include "server/engine/device/device_selection.h"
#include "server/engine/engine.h"
#include "server/engine/host_worker.h"
#include "server/engine/input/input_files.h"
#include "server/engine/jobs/job_context.h"
#include "server/engine/operations/operations.h"
#include "server/engine/profile/catalogue_desk.h"
#include "server/engine/store/artifact_store.h"
#include "server/engine/store/data_directory.h"
#include "server/engine/store/hessian_store.h"
#include "server/engine/store/upload_store.h"

namespace qtipd {

// Members are declared in the order in which they depend on each other, so that destruction undoes
// it; Shutdown ends the threads first.
class EngineImpl final : public Engine {
 public:
  struct Parts {
    EngineConfig config;
    std::unique_ptr<Registry> registry;
    std::vector<std::unique_ptr<Backend>> backends;
    std::vector<BackendStatus> backend_status;
    DataDirectory directory;
    std::unique_ptr<HistoryStore> history;
    MetricsSink* metrics;
    Clock* clock;
  };
  explicit EngineImpl(Parts parts);
  ~EngineImpl() override;

  // Restores what is on disk and starts an executor for every choice.
  absl::Status Start(const std::vector<DeviceChoice>& choices);

  const Registry& registry() const override { return *parts_.registry; }
  std::vector<DeviceStatus> ListDevices() override;
  std::vector<DeviceStatus> ReadDevices() override;
  std::vector<BackendStatus> ListBackends() override { return parts_.backend_status; }
  absl::StatusOr<std::unique_ptr<UploadStream>> BeginUpload() override;
  absl::StatusOr<OperationRecord> StartQuantize(const QuantizeSpec& spec) override;
  absl::StatusOr<OperationRecord> StartImport(const ImportSpec& spec) override;
  absl::StatusOr<OperationRecord> StartCalibrate(const CalibrateSpec& spec) override;
  absl::StatusOr<OperationRecord> StartBenchmark(const BenchmarkSpec& spec) override;
  absl::StatusOr<OperationRecord> StartProfile(const ProfileSpec& spec) override;
  absl::Status ValidateProfile(const ProfileSpec& spec) override;
  absl::StatusOr<OperationRecord> StartLoad(const LoadSpec& spec) override;
  absl::StatusOr<OperationRecord> StartUnload(const LoadSpec& spec) override;
  absl::StatusOr<OperationRecord> GetOperation(const std::string& id) override;
  absl::StatusOr<Page<OperationRecord>> ListOperations(const PageRequest& page) override;
  absl::Status CancelOperation(const std::string& id) override;
  absl::Status DeleteOperation(const std::string& id) override;
  absl::StatusOr<std::unique_ptr<Subscription>> WatchOperation(
      const std::string& id, std::function<void(const OperationRecord&)> callback) override;
  absl::StatusOr<ArtifactRecord> GetArtifact(const std::string& name) override;
  absl::StatusOr<Page<ArtifactRecord>> ListArtifacts(const PageRequest& page) override;
  absl::Status DeleteArtifact(const std::string& name) override;
  absl::StatusOr<ModelView> GetModel(const std::string& name) override;
  absl::Status DeleteModel(const std::string& name) override;
  absl::StatusOr<HessianRecord> GetHessian(const std::string& name) override;
  absl::StatusOr<Page<HessianRecord>> ListHessians(const PageRequest& page) override;
  absl::Status DeleteHessian(const std::string& name) override;
  void ExportArtifact(
      const std::string& name, ExportForm form,
      std::function<void(absl::StatusOr<std::unique_ptr<ExportStream>>)> done) override;
  absl::StatusOr<RunRecord> GetRun(const std::string& id) override;
  absl::StatusOr<Page<RunRecord>> ListRuns(const PageRequest& page) override;
  absl::StatusOr<std::vector<Finding>> RunDoctor(const std::string& device) override;
  absl::StatusOr<ProfileRecord> GetProfile(const std::string& id) override;
  absl::StatusOr<Page<ProfileRecord>> ListProfiles(const PageRequest& page) override;
  absl::StatusOr<MetricCatalogue> ReadMetricCatalogue(
      const CatalogueTask& task, const std::function<bool()>& is_cancelled) override;
  void SetDeviceLostHandler(std::function<void(const std::string& device)> handler) override;
  void Shutdown() override;

 private:
  // A job on a device, and on the host alone.
  using DeviceJob = std::function<absl::StatusOr<std::string>(DeviceLease&, Progress&)>;
  using HostJob = std::function<absl::StatusOr<std::string>(Progress&)>;
  // Holds on a request's uploads. A start takes them first of all, so that one that is refused
  // leaves no upload behind.
  using Inputs = std::vector<std::shared_ptr<void>>;

  // Errors: SERVER_DRAINING.
  absl::Status CheckServing() const;
  // The operation that the request's id already started, after refusing while draining.
  absl::StatusOr<std::optional<OperationRecord>> Admit(const OperationRequest& request);
  // Creates the operation and enqueues its job; `inputs` are kept until it has ended.
  absl::StatusOr<OperationRecord> StartOnDevice(OperationRequest request, DeviceExecutor& executor,
                                                DeviceJob job, Inputs inputs);
  absl::StatusOr<OperationRecord> StartOnHost(OperationRequest request, HostJob job, Inputs inputs);
  absl::StatusOr<OperationRecord> Enqueue(const OperationRequest& request,
                                          const std::function<absl::Status(std::string)>& enqueue);
  // The executor for a request's device; empty: the first healthy one.
  absl::StatusOr<DeviceExecutor*> FindExecutor(const std::string& device);
  // Errors: PROFILER_HELPER_FAILED where this engine was given none.
  absl::StatusOr<ProfileCollector*> FindCollector();
  // Takes what no name has any more out of the devices, when they come to it.
  void ReleaseResident(const std::string& sha256);
  void FillLoadedOn(ArtifactRecord& record);
  std::map<std::string, std::string> FactsOf(const DeviceExecutor& executor,
                                             const DeviceStatus& status);
  void DeviceLost(const std::string& device);
  JobContext Context();

  Parts parts_;
  ArtifactStore artifacts_;
  HessianStore hessians_;
  UploadStore uploads_;
  InputFiles files_;
  CeilingStore ceilings_;
  Operations operations_;
  CatalogueDesk catalogue_desk_;
  const HostBaseline baseline_;  // of the doctor: the host when the engine was made
  std::atomic<bool> is_draining_{false};
  std::mutex facts_mutex_;
  // By device, as its last look told while it was idle; guarded by facts_mutex_.
  std::map<std::string, std::map<std::string, std::string>> facts_;
  std::mutex lost_mutex_;
  std::function<void(const std::string&)> lost_handler_;  // guarded by lost_mutex_
  std::string lost_device_;                               // guarded by lost_mutex_
  std::vector<std::unique_ptr<DeviceExecutor>> executors_;
  HostWorker host_worker_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_ENGINE_IMPL_H_
