// A metrics sink that remembers.
#ifndef QTIPD_TESTS_FAKES_FAKE_METRICS_H_
#define QTIPD_TESTS_FAKES_FAKE_METRICS_H_

#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "server/engine/metrics_sink.h"

namespace qtipd {

// Thread-safe to write; read the fields through the functions.
class FakeMetrics final : public MetricsSink {
 public:
  using CountAndBytes = std::pair<int64_t, uint64_t>;

  void DeviceChanged(const DeviceStatus& device) override {
    std::lock_guard lock(mutex_);
    devices_[device.info.id] = device;
  }
  void OperationFinished(const OperationRecord& operation, double seconds) override {
    std::lock_guard lock(mutex_);
    operations_.push_back(operation);
  }
  void BenchmarkFinished(const RunRecord& run) override {
    std::lock_guard lock(mutex_);
    runs_.push_back(run);
  }
  void ArtifactsChanged(const std::string& format, int64_t count, uint64_t bytes) override {
    std::lock_guard lock(mutex_);
    artifacts_[format] = {count, bytes};
  }
  void ResidentChanged(const std::string& device, const std::string& format, int64_t count,
                       uint64_t bytes) override {
    std::lock_guard lock(mutex_);
    resident_[device] = {count, bytes};
  }

  std::vector<OperationRecord> operations() const {
    std::lock_guard lock(mutex_);
    return operations_;
  }
  size_t runs() const {
    std::lock_guard lock(mutex_);
    return runs_.size();
  }
  CountAndBytes artifacts(const std::string& format) const {
    std::lock_guard lock(mutex_);
    const auto found = artifacts_.find(format);
    return found == artifacts_.end() ? CountAndBytes{-1, 0} : found->second;
  }
  CountAndBytes resident(const std::string& device) const {
    std::lock_guard lock(mutex_);
    const auto found = resident_.find(device);
    return found == resident_.end() ? CountAndBytes{-1, 0} : found->second;
  }
  DeviceStatus device(const std::string& id) const {
    std::lock_guard lock(mutex_);
    const auto found = devices_.find(id);
    return found == devices_.end() ? DeviceStatus{} : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, DeviceStatus> devices_;
  std::vector<OperationRecord> operations_;
  std::vector<RunRecord> runs_;
  std::map<std::string, CountAndBytes> artifacts_;
  std::map<std::string, CountAndBytes> resident_;
};

}  // namespace qtipd

#endif  // QTIPD_TESTS_FAKES_FAKE_METRICS_H_
