// One thread that owns a device: its context, its queue of work and the artefacts resident on it.
#ifndef QTIPD_SERVER_ENGINE_DEVICE_DEVICE_EXECUTOR_H_
#define QTIPD_SERVER_ENGINE_DEVICE_DEVICE_EXECUTOR_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/backend.h"
#include "kernels/api/device.h"
#include "server/engine/device/resident_set.h"
#include "server/engine/metrics_sink.h"
#include "server/engine/types.h"
#include "server/telemetry/device_monitor.h"

namespace qtipd {

// Exclusive use of a device for the length of one piece of work; exists on its thread only.
struct DeviceLease {
  Device& device;
  ResidentSet& residents;
  DeviceMonitor& monitor;
  // Not OK once the device is lost: the work must fail with it and touch nothing.
  const absl::Status& health;
};

// Thread-safe. Work runs in the order it was enqueued, one at a time.
class DeviceExecutor {
 public:
  using Work = std::function<void(DeviceLease& lease)>;

  struct Config {
    Backend* backend = nullptr;  // outlives the executor
    int index = 0;
    size_t max_queue = 64;
    MetricsSink* metrics = nullptr;  // outlives the executor
    MonitorFactory make_monitor;     // empty: MakeSilentMonitor
    // Called once, on the device's thread, after the work that met the loss has returned.
    std::function<void(const std::string& device)> on_lost;
  };

  // Starts the thread and opens the device on it. Errors: those of Backend::OpenDevice.
  static absl::StatusOr<std::unique_ptr<DeviceExecutor>> Start(Config config);
  ~DeviceExecutor();

  // Errors: ResourceExhausted/QUEUE_FULL; Unavailable/DEVICE_UNHEALTHY, SERVER_DRAINING.
  absl::Status Enqueue(Work work);
  // For housekeeping that must not be refused, such as freeing; dropped once stopped.
  void EnqueueHousekeeping(Work work);

  const std::string& id() const { return info_.id; }
  const DeviceInfo& info() const { return info_; }
  DeviceStatus status() const;
  DeviceMonitor& monitor() const { return *monitor_; }
  bool IsResident(const std::string& sha256) const { return residents_->Contains(sha256); }

  // Runs what is queued (the work finds itself cancelled), frees the device and ends the thread.
  // Idempotent.
  void Stop();

 private:
  explicit DeviceExecutor(Config config) : config_(std::move(config)) {}
  absl::Status Open();
  void Loop();
  void RunOne(Work work);
  void Refresh();
  void PublishStatus();

  const Config config_;
  DeviceInfo info_;
  std::thread thread_;
  std::unique_ptr<Device> device_;          // the thread's own
  std::unique_ptr<ResidentSet> residents_;  // made before Start returns
  std::unique_ptr<DeviceMonitor> monitor_;  // made before Start returns
  absl::Status health_;                     // the thread's own

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Work> queue_;         // guarded by mutex_
  bool is_stopping_ = false;       // guarded by mutex_
  bool is_busy_ = false;           // guarded by mutex_
  absl::Status published_health_;  // guarded by mutex_
  DeviceMemory memory_;            // guarded by mutex_
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_DEVICE_DEVICE_EXECUTOR_H_
