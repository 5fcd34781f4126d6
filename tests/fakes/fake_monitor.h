// A device monitor whose readings a test writes.
#ifndef QTIPD_TESTS_FAKES_FAKE_MONITOR_H_
#define QTIPD_TESTS_FAKES_FAKE_MONITOR_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "server/telemetry/device_monitor.h"

namespace qtipd {

// Shared by a test and the monitor; set before the monitor is used.
struct FakeMonitorControl {
  std::function<DeviceReading(int64_t)> read = [](int64_t) { return DeviceReading{}; };  // the n-th
  std::map<std::string, std::string> facts;
  absl::Status lock_status;  // of LockClocks
  std::atomic<int64_t> reads{0};
  std::atomic<int64_t> locks{0};
  std::atomic<int64_t> unlocks{0};
};

class FakeMonitor final : public DeviceMonitor {
 public:
  explicit FakeMonitor(std::shared_ptr<FakeMonitorControl> control)
      : control_(std::move(control)) {}
  DeviceReading Read() override { return control_->read(control_->reads++); }
  std::map<std::string, std::string> Facts() override { return control_->facts; }
  absl::Status LockClocks() override {
    if (control_->lock_status.ok()) ++control_->locks;
    return control_->lock_status;
  }
  absl::Status UnlockClocks() override {
    ++control_->unlocks;
    return absl::OkStatus();
  }

 private:
  std::shared_ptr<FakeMonitorControl> control_;
};

inline MonitorFactory FakeMonitors(std::shared_ptr<FakeMonitorControl> control) {
  return [control](const DeviceInfo&) { return std::make_unique<FakeMonitor>(control); };
}

}  // namespace qtipd

#endif  // QTIPD_TESTS_FAKES_FAKE_MONITOR_H_
