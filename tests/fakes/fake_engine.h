// An Engine for tests of the service and the transport: remembers what it was asked, answers what
// the test set, and calls back from a thread of its own, as the real one does.
#ifndef QTIPD_TESTS_FAKES_FAKE_ENGINE_H_
#define QTIPD_TESTS_FAKES_FAKE_ENGINE_H_

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "server/engine/engine.h"

namespace qtipd {

// Bytes from memory; ends early at `available` if that is less than what it promises.
class FakeExport final : public ExportStream {
 public:
  FakeExport(std::string bytes, uint64_t total) : bytes_(std::move(bytes)), total_(total) {}
  uint64_t total_bytes() const override { return total_; }
  const std::string& sha256() const override { return sha256_; }
  absl::StatusOr<size_t> Read(std::span<std::byte> chunk) override {
    const size_t count = std::min(chunk.size(), bytes_.size() - position_);
    std::memcpy(chunk.data(), bytes_.data() + position_, count);
    position_ += count;
    return count;
  }

 private:
  const std::string bytes_;
  const uint64_t total_;
  const std::string sha256_ = std::string(64, 'e');
  size_t position_ = 0;
};

class FakeEngine final : public Engine {
 public:
  ~FakeEngine() override { WaitForThreads(); }

  // ---- what a test sets -------------------------------------------------------------------------
  Registry plugins;
  std::vector<DeviceStatus> devices;
  std::vector<BackendStatus> backends;
  absl::Status start_error;  // of every Start...
  std::map<std::string, ArtifactRecord> artifacts;
  std::map<std::string, ModelView> models;
  std::map<std::string, HessianRecord> hessians;
  std::map<std::string, RunRecord> runs;
  std::map<std::string, ProfileRecord> profiles;
  absl::StatusOr<MetricCatalogue> catalogue = MetricCatalogue{};
  std::string next_page_token;
  std::string export_bytes;
  uint64_t export_missing_bytes = 0;
  std::string upload_sha256;  // the hash that an upload must give
  std::function<void()> on_shutdown;
  std::vector<Finding> findings;

  // Adds or changes an operation and tells its watchers, from another thread.
  void SetOperation(const OperationRecord& operation) {
    std::lock_guard lock(mutex_);
    operations_[operation.id] = operation;
    for (const auto& [key, watcher] : watchers_) {
      if (watcher.id == operation.id) Notify(key);
    }
  }

  // ---- what a test asks -------------------------------------------------------------------------
  std::optional<QuantizeSpec> quantize;
  std::optional<ImportSpec> import;
  std::optional<CalibrateSpec> calibrate;
  std::optional<BenchmarkSpec> benchmark;
  std::optional<ProfileSpec> profile;
  std::optional<ProfileSpec> validated_profile;
  std::optional<CatalogueTask> catalogue_task;
  std::function<void(const std::function<bool()>& is_cancelled)> on_catalogue;
  std::optional<LoadSpec> load;
  std::optional<PageRequest> page;
  std::optional<ExportForm> export_form;
  std::string cancelled, deleted, examined;
  bool is_shut_down = false;

  int watcher_count() {
    std::lock_guard lock(mutex_);
    return static_cast<int>(watchers_.size());
  }
  // Waits until that many watches are open.
  void WaitForWatchers(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return static_cast<int>(watchers_.size()) == count; });
  }
  std::string uploaded() {
    std::lock_guard lock(mutex_);
    return uploaded_;
  }
  // Waits until bytes of an upload have arrived.
  void WaitForUploadedBytes() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return has_upload_bytes_; });
  }
  int abandoned_uploads() {
    std::lock_guard lock(mutex_);
    return abandoned_uploads_;
  }

  // ---- Engine -----------------------------------------------------------------------------------
  const Registry& registry() const override { return plugins; }
  std::vector<DeviceStatus> ListDevices() override { return devices; }
  std::vector<DeviceStatus> ReadDevices() override { return devices; }
  std::vector<BackendStatus> ListBackends() override { return backends; }

  absl::StatusOr<std::unique_ptr<UploadStream>> BeginUpload() override {
    return std::make_unique<Upload>(*this);
  }

  absl::StatusOr<OperationRecord> StartQuantize(const QuantizeSpec& spec) override {
    quantize = spec;
    return Started("quantize", spec.name);
  }
  absl::StatusOr<OperationRecord> StartImport(const ImportSpec& spec) override {
    import = spec;
    return Started("import", spec.name);
  }
  absl::StatusOr<OperationRecord> StartCalibrate(const CalibrateSpec& spec) override {
    calibrate = spec;
    return Started("calibrate", spec.name);
  }
  absl::StatusOr<OperationRecord> StartBenchmark(const BenchmarkSpec& spec) override {
    benchmark = spec;
    return Started("benchmark", spec.artifact);
  }
  absl::Status ValidateProfile(const ProfileSpec& spec) override {
    validated_profile = spec;
    return start_error;
  }
  absl::StatusOr<OperationRecord> StartProfile(const ProfileSpec& spec) override {
    profile = spec;
    return Started("profile", spec.artifact);
  }
  absl::StatusOr<OperationRecord> StartLoad(const LoadSpec& spec) override {
    load = spec;
    return Started("load", spec.artifact);
  }
  absl::StatusOr<OperationRecord> StartUnload(const LoadSpec& spec) override {
    load = spec;
    return Started("unload", spec.artifact);
  }

  absl::StatusOr<OperationRecord> GetOperation(const std::string& id) override {
    std::lock_guard lock(mutex_);
    const auto found = operations_.find(id);
    if (found == operations_.end()) return Missing("OPERATION_NOT_FOUND", id);
    return found->second;
  }
  absl::StatusOr<Page<OperationRecord>> ListOperations(const PageRequest& request) override {
    std::lock_guard lock(mutex_);
    page = request;
    return MakePage(operations_);
  }
  absl::Status CancelOperation(const std::string& id) override {
    cancelled = id;
    return absl::OkStatus();
  }
  absl::Status DeleteOperation(const std::string& id) override {
    deleted = id;
    return absl::OkStatus();
  }
  absl::StatusOr<std::unique_ptr<Subscription>> WatchOperation(
      const std::string& id, std::function<void(const OperationRecord&)> callback) override {
    std::lock_guard lock(mutex_);
    if (!operations_.contains(id)) return Missing("OPERATION_NOT_FOUND", id);
    const int key = next_key_++;
    watchers_[key] = {id, std::move(callback)};
    Notify(key);
    changed_.notify_all();
    return std::make_unique<Watch>(*this, key);
  }

  absl::StatusOr<ArtifactRecord> GetArtifact(const std::string& name) override {
    const auto found = artifacts.find(name);
    if (found == artifacts.end()) return Missing("ARTIFACT_NOT_FOUND", name);
    return found->second;
  }
  absl::StatusOr<Page<ArtifactRecord>> ListArtifacts(const PageRequest& request) override {
    page = request;
    return MakePage(artifacts);
  }
  absl::Status DeleteArtifact(const std::string& name) override {
    return artifacts.erase(name) == 1 ? absl::OkStatus() : Missing("ARTIFACT_NOT_FOUND", name);
  }
  absl::StatusOr<ModelView> GetModel(const std::string& name) override {
    const auto found = models.find(name);
    if (found == models.end()) return Missing("MODEL_NOT_FOUND", name);
    return found->second;
  }
  absl::Status DeleteModel(const std::string& name) override {
    return models.erase(name) == 1 ? absl::OkStatus() : Missing("MODEL_NOT_FOUND", name);
  }
  absl::StatusOr<HessianRecord> GetHessian(const std::string& name) override {
    const auto found = hessians.find(name);
    if (found == hessians.end()) return Missing("HESSIAN_NOT_FOUND", name);
    return found->second;
  }
  absl::StatusOr<Page<HessianRecord>> ListHessians(const PageRequest& request) override {
    page = request;
    return MakePage(hessians);
  }
  absl::Status DeleteHessian(const std::string& name) override {
    return hessians.erase(name) == 1 ? absl::OkStatus() : Missing("HESSIAN_NOT_FOUND", name);
  }
  void ExportArtifact(
      const std::string& name, ExportForm form,
      std::function<void(absl::StatusOr<std::unique_ptr<ExportStream>>)> done) override {
    std::lock_guard lock(mutex_);
    export_form = form;
    threads_.emplace_back([this, name, done = std::move(done)] {
      if (!artifacts.contains(name)) return done(Missing("ARTIFACT_NOT_FOUND", name));
      done(std::make_unique<FakeExport>(export_bytes, export_bytes.size() + export_missing_bytes));
    });
  }

  absl::StatusOr<RunRecord> GetRun(const std::string& id) override {
    const auto found = runs.find(id);
    if (found == runs.end()) return Missing("RUN_NOT_FOUND", id);
    return found->second;
  }
  absl::StatusOr<Page<RunRecord>> ListRuns(const PageRequest& request) override {
    page = request;
    return MakePage(runs);
  }

  absl::StatusOr<std::vector<Finding>> RunDoctor(const std::string& device) override {
    examined = device;
    return findings;
  }
  absl::StatusOr<ProfileRecord> GetProfile(const std::string& id) override {
    const auto found = profiles.find(id);
    if (found == profiles.end()) return Missing("PROFILE_NOT_FOUND", id);
    return found->second;
  }
  absl::StatusOr<Page<ProfileRecord>> ListProfiles(const PageRequest& request) override {
    page = request;
    return MakePage(profiles);
  }
  absl::StatusOr<MetricCatalogue> ReadMetricCatalogue(
      const CatalogueTask& task, const std::function<bool()>& is_cancelled) override {
    catalogue_task = task;
    if (on_catalogue) on_catalogue(is_cancelled);
    return catalogue;
  }

  void SetDeviceLostHandler(std::function<void(const std::string&)>) override {}
  void Shutdown() override {
    if (on_shutdown) on_shutdown();
    is_shut_down = true;
  }

 private:
  struct Watcher {
    std::string id;
    std::function<void(const OperationRecord&)> callback;
    std::shared_ptr<std::mutex> running = std::make_shared<std::mutex>();
  };

  class Watch final : public Subscription {
   public:
    Watch(FakeEngine& engine, int key) : engine_(engine), key_(key) {}
    ~Watch() override {
      std::shared_ptr<std::mutex> running;
      {
        std::lock_guard lock(engine_.mutex_);
        running = engine_.watchers_.at(key_).running;
      }
      std::lock_guard no_callback(*running);
      std::lock_guard lock(engine_.mutex_);
      engine_.watchers_.erase(key_);
      engine_.changed_.notify_all();
    }

   private:
    FakeEngine& engine_;
    const int key_;
  };

  class Upload final : public UploadStream {
   public:
    explicit Upload(FakeEngine& engine) : engine_(engine) {}
    ~Upload() override {
      std::lock_guard lock(engine_.mutex_);
      if (!is_finished_) ++engine_.abandoned_uploads_;
    }
    absl::Status Write(std::span<const std::byte> chunk) override {
      bytes_.append(reinterpret_cast<const char*>(chunk.data()), chunk.size());
      std::lock_guard lock(engine_.mutex_);
      engine_.has_upload_bytes_ = true;
      engine_.changed_.notify_all();
      return absl::OkStatus();
    }
    absl::StatusOr<std::string> Finish(const std::string& sha256) override {
      if (sha256 != engine_.upload_sha256) {
        return MakeError(absl::StatusCode::kDataLoss, "UPLOAD_HASH_MISMATCH", "another hash");
      }
      std::lock_guard lock(engine_.mutex_);
      is_finished_ = true;
      engine_.uploaded_ = bytes_;
      return std::string("upload-1");
    }

   private:
    FakeEngine& engine_;
    std::string bytes_;
    bool is_finished_ = false;
  };

  template <typename Map>
  Page<typename Map::mapped_type> MakePage(const Map& map) {
    Page<typename Map::mapped_type> result;
    for (const auto& [key, item] : map) result.items.push_back(item);
    result.next_page_token = next_page_token;
    return result;
  }

  static absl::Status Missing(const std::string& reason, const std::string& name) {
    return MakeError(absl::StatusCode::kNotFound, reason, "there is no " + name, {{"name", name}});
  }

  absl::StatusOr<OperationRecord> Started(const std::string& kind, const std::string& target) {
    if (!start_error.ok()) return start_error;
    OperationRecord operation;
    operation.id = "1";
    operation.kind = kind;
    operation.target = target;
    std::lock_guard lock(mutex_);
    operations_[operation.id] = operation;
    return operation;
  }

  // With mutex_ held: tells the present record to a watcher that is still there, later.
  void Notify(int key) {
    threads_.emplace_back([this, key] {
      Watcher watcher;
      OperationRecord operation;
      {
        std::lock_guard lock(mutex_);
        const auto found = watchers_.find(key);
        if (found == watchers_.end()) return;
        watcher = found->second;
      }
      std::lock_guard running(*watcher.running);
      {
        std::lock_guard lock(mutex_);
        if (!watchers_.contains(key)) return;
        operation = operations_.at(watcher.id);
      }
      watcher.callback(operation);
    });
  }

  void WaitForThreads() {
    std::vector<std::thread> threads;
    {
      std::lock_guard lock(mutex_);
      threads.swap(threads_);
    }
    for (std::thread& thread : threads) thread.join();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, OperationRecord> operations_;
  std::map<int, Watcher> watchers_;
  int next_key_ = 0;
  std::string uploaded_;
  bool has_upload_bytes_ = false;
  int abandoned_uploads_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace qtipd

#endif  // QTIPD_TESTS_FAKES_FAKE_ENGINE_H_
