// The device's clock, held at its default while this lives.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_HELD_CLOCKS_H_
#define QTIPD_SERVER_ENGINE_HARNESS_HELD_CLOCKS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "server/telemetry/device_monitor.h"

namespace qtipd {

// Lives on the device's thread; the monitor outlives it. What cannot be unlocked is logged.
class HeldClocks {
 public:
  // Errors: those of DeviceMonitor::LockClocks.
  static absl::StatusOr<std::unique_ptr<HeldClocks>> Acquire(DeviceMonitor& monitor);
  HeldClocks(const HeldClocks&) = delete;
  ~HeldClocks();

 private:
  explicit HeldClocks(DeviceMonitor& monitor) : monitor_(monitor) {}
  DeviceMonitor& monitor_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_HELD_CLOCKS_H_
