// A device monitor whose readings a test writes.
#ifndef QTIPD_TESTS_FAKES_FAKE_MONITOR_H_
#define QTIPD_TESTS_FAKES_FAKE_MONITOR_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/telemetry/device_monitor.h"

namespace qtipd {

// Shared by a test and the monitor; set before the monitor is used.
struct FakeMonitorControl {
  std::function<DeviceReading(int64_t)> read = [](int64_t) { return DeviceReading{}; };  // the n-th
  std::function<std::optional<EnergyReading>()> read_energy = [] {
    return std::optional<EnergyReading>();
  };
  std::map<std::string, std::string> facts;
  absl::Status lock_status;       // of LockClocks
  std::atomic<int64_t> reads{0};  // kLast, which asks nothing, not counted
  std::atomic<int64_t> energy_reads{0};
  std::atomic<int64_t> facts_reads{0};
  std::vector<Freshness> freshness;  // of each of them; on one thread at a time
  std::atomic<int64_t> locks{0};
  std::atomic<int64_t> unlocks{0};
};

class FakeMonitor final : public DeviceMonitor {
 public:
  explicit FakeMonitor(std::shared_ptr<FakeMonitorControl> control)
      : control_(std::move(control)) {}
  using DeviceMonitor::Read;
  DeviceReading Read(Freshness freshness) override {
    if (freshness == Freshness::kLast) return last_;
    control_->freshness.push_back(freshness);
    return last_ = control_->read(control_->reads++);
  }
  std::optional<EnergyReading> ReadEnergy() override {
    ++control_->energy_reads;
    return control_->read_energy();
  }
  std::map<std::string, std::string> Facts() override {
    ++control_->facts_reads;
    return control_->facts;
  }
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
  DeviceReading last_;
};

inline MonitorFactory FakeMonitors(std::shared_ptr<FakeMonitorControl> control) {
  return [control](const DeviceInfo&) { return std::make_unique<FakeMonitor>(control); };
}

}  // namespace qtipd

#endif  // QTIPD_TESTS_FAKES_FAKE_MONITOR_H_
