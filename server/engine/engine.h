// The whole service without its transport: artefacts, operations, benchmarks and their history.
#ifndef QTIPD_SERVER_ENGINE_ENGINE_H_
#define QTIPD_SERVER_ENGINE_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/backend.h"
#include "kernels/api/registry.h"
#include "server/base/clock.h"
#include "server/engine/doctor/doctor.h"
#include "server/engine/metrics_sink.h"
#include "server/engine/profile/profile_collector.h"
#include "server/engine/profile/profile_types.h"
#include "server/engine/types.h"
#include "server/telemetry/device_monitor.h"

namespace qtipd {

struct EngineConfig {
  std::string data_dir;
  std::string device_selection = "auto";  // auto, cpu, cuda, cuda:N
  std::vector<std::string> server_paths;  // directories that requests may read
  uint64_t max_upload_bytes = uint64_t{64} << 30;
  std::map<std::string, std::string> build_info;  // version, git_commit, ...; copied into every run
  std::shared_ptr<ProfileCollector> profile_collector;  // empty: profiles are refused
  MonitorFactory make_monitor;  // called on each device's thread; empty: MakeSilentMonitor
  // Called by Create once the data directory is this daemon's, before any device is touched; what
  // fails after it fails with the directory held. May be empty.
  std::function<void()> on_directory_locked;
  std::string profiler;  // path of qtip-profiler, for the doctor; empty: not looked at
};

// Bytes on their way out, prepared and hashed; read in order by one thread.
class ExportStream {
 public:
  virtual ~ExportStream() = default;
  virtual uint64_t total_bytes() const = 0;
  virtual const std::string& sha256() const = 0;
  // Fills `chunk` from the current position; returns the bytes read, 0 at the end.
  virtual absl::StatusOr<size_t> Read(std::span<std::byte> chunk) = 0;
};

// Bytes on their way in; written in order by one thread. Destroying an unfinished upload removes
// it.
class UploadStream {
 public:
  virtual ~UploadStream() = default;
  // Errors: ResourceExhausted/UPLOAD_TOO_LARGE.
  virtual absl::Status Write(std::span<const std::byte> chunk) = 0;
  // Checks the SHA-256 (lower-case hex) and keeps the file; returns its upload id. An upload is
  // consumed by the operation that names it, or removed at the next start.
  // Errors: DataLoss/UPLOAD_HASH_MISMATCH.
  virtual absl::StatusOr<std::string> Finish(const std::string& sha256) = 0;
};

enum class ExportForm { kPacked, kDense };

// Ends a watch when destroyed; no callback runs after the destructor has returned. The destructor
// must not be called from within the callback.
class Subscription {
 public:
  virtual ~Subscription() = default;
};

// Thread-safe. No method blocks on device work: what takes long is an operation, or calls back from
// a thread of the engine. Callbacks must return quickly.
class Engine {
 public:
  virtual ~Engine() = default;

  // Opens the data directory (one daemon each: DATA_DIR_IN_USE), restores artefacts, marks
  // operations that a crash cut off as INTERRUPTED, opens the selected devices and starts their
  // executors. Device discovery happens here; kernels load lazily, so that start is quick. Errors:
  // DATA_DIR_NOT_WRITABLE, DATA_DIR_IN_USE, DEVICE_NOT_FOUND, ...
  static absl::StatusOr<std::unique_ptr<Engine>> Create(
      EngineConfig config, std::unique_ptr<Registry> registry,
      std::vector<std::unique_ptr<Backend>> backends, std::vector<BackendStatus> backend_status,
      MetricsSink& metrics, Clock& clock);

  virtual const Registry& registry() const = 0;
  // Asks nothing of the devices: as told when their last work ended, without readings.
  virtual std::vector<DeviceStatus> ListDevices() = 0;
  // The same with what each device's monitor says: now where the device is idle; where it works,
  // what that work's own last look saw, so that nobody disturbs a measurement.
  virtual std::vector<DeviceStatus> ReadDevices() = 0;
  virtual std::vector<BackendStatus> ListBackends() = 0;

  // Uploads.
  virtual absl::StatusOr<std::unique_ptr<UploadStream>> BeginUpload() = 0;

  // Operations. A start validates everything that needs no device and no file content, so that bad
  // input fails the call itself, then enqueues. The same request_id with the same spec returns the
  // first operation again; with another spec: AlreadyExists/REQUEST_ID_REUSED.
  virtual absl::StatusOr<OperationRecord> StartQuantize(const QuantizeSpec& spec) = 0;
  virtual absl::StatusOr<OperationRecord> StartImport(const ImportSpec& spec) = 0;
  virtual absl::StatusOr<OperationRecord> StartCalibrate(const CalibrateSpec& spec) = 0;
  virtual absl::StatusOr<OperationRecord> StartBenchmark(const BenchmarkSpec& spec) = 0;
  virtual absl::StatusOr<OperationRecord> StartProfile(const ProfileSpec& spec) = 0;
  // What StartProfile would refuse, without starting anything. A step's name is known only once the
  // path is loaded.
  virtual absl::Status ValidateProfile(const ProfileSpec& spec) = 0;
  virtual absl::StatusOr<OperationRecord> StartLoad(const LoadSpec& spec) = 0;
  virtual absl::StatusOr<OperationRecord> StartUnload(const LoadSpec& spec) = 0;

  virtual absl::StatusOr<OperationRecord> GetOperation(const std::string& id) = 0;
  virtual absl::StatusOr<Page<OperationRecord>> ListOperations(const PageRequest& page) = 0;
  virtual absl::Status CancelOperation(const std::string& id) = 0;
  virtual absl::Status DeleteOperation(const std::string& id) = 0;  // terminal ones only
  // Calls `callback` with the present record and after every change, the terminal one last, from an
  // engine thread; successive changes may be merged.
  virtual absl::StatusOr<std::unique_ptr<Subscription>> WatchOperation(
      const std::string& id, std::function<void(const OperationRecord&)> callback) = 0;

  // Artefacts.
  virtual absl::StatusOr<ArtifactRecord> GetArtifact(const std::string& name) = 0;
  virtual absl::StatusOr<Page<ArtifactRecord>> ListArtifacts(const PageRequest& page) = 0;
  virtual absl::Status DeleteArtifact(const std::string& name) = 0;
  // The artefacts below a name. Maps their files: takes milliseconds, or more from a cold disk.
  virtual absl::StatusOr<ModelView> GetModel(const std::string& name) = 0;
  virtual absl::Status DeleteModel(const std::string& name) = 0;

  // Hessians, by name.
  virtual absl::StatusOr<HessianRecord> GetHessian(const std::string& name) = 0;
  virtual absl::StatusOr<Page<HessianRecord>> ListHessians(const PageRequest& page) = 0;
  virtual absl::Status DeleteHessian(const std::string& name) = 0;

  // Prepares the bytes on an engine thread, then calls back once.
  virtual void ExportArtifact(
      const std::string& name, ExportForm form,
      std::function<void(absl::StatusOr<std::unique_ptr<ExportStream>>)> done) = 0;

  // Runs, newest first.
  virtual absl::StatusOr<RunRecord> GetRun(const std::string& id) = 0;
  virtual absl::StatusOr<Page<RunRecord>> ListRuns(const PageRequest& page) = 0;

  // Looks the host over, and `device` or, where that is empty, every device that is served. Takes
  // milliseconds of reading files and asking drivers. Errors: DEVICE_NOT_FOUND.
  virtual absl::StatusOr<std::vector<Finding>> RunDoctor(const std::string& device) = 0;
  // Profiles, newest first; apart from runs, whose times are not taken under counters.
  virtual absl::StatusOr<ProfileRecord> GetProfile(const std::string& id) = 0;
  virtual absl::StatusOr<Page<ProfileRecord>> ListProfiles(const PageRequest& page) = 0;
  // What a device or a named chip can count; no device and no chip: the first healthy device.
  // Blocks: the first question about a device waits until that is free, at most 30 s; then the
  // helper looks, a second as a rule and 30 at most. `is_cancelled` is asked several times a
  // second; empty: never. One question at a time.
  // Errors: PRESET_UNKNOWN, TOO_MANY_METRICS, METRIC_INVALID, CHIP_UNKNOWN, DEVICE_NOT_FOUND,
  // CATALOGUE_BUSY, SERVER_DRAINING, CANCELLED; the helper's own.
  virtual absl::StatusOr<MetricCatalogue> ReadMetricCatalogue(
      const CatalogueTask& task, const std::function<bool()>& is_cancelled) = 0;

  // Called once, from an engine thread, when a device is lost (sticky error): the daemon then ends
  // with exit code 70.
  virtual void SetDeviceLostHandler(std::function<void(const std::string& device)> handler) = 0;

  // Refuses new operations (Unavailable/SERVER_DRAINING), cancels queued and running ones, waits
  // for the executors, frees devices, closes the history. Idempotent.
  virtual void Shutdown() = 0;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_ENGINE_H_
