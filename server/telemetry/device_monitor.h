// What a device says about its state: clocks, temperature, power, errors, who else uses it.
#ifndef QTIPD_SERVER_TELEMETRY_DEVICE_MONITOR_H_
#define QTIPD_SERVER_TELEMETRY_DEVICE_MONITOR_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "kernels/api/device.h"

namespace qtipd {

// One look at a device. What it does not tell is absent, never a sentinel.
struct DeviceReading {
  std::optional<double> clock_hertz;  // of the compute units, now
  std::optional<double> memory_clock_hertz;
  std::optional<double> temperature_celsius;
  std::optional<double> power_watts;
  std::optional<double> energy_joules;  // a counter; differences count
  double energy_seconds = 0;            // when it was read, on the monitor's monotonic clock
  std::optional<uint64_t> ecc_corrected_errors;  // since the driver was loaded
  std::optional<uint64_t> ecc_uncorrected_errors;
  // Reasons for which the clock is lower than it could be, upper snake: "SW_POWER_CAP",
  // "HW_SLOWDOWN", "SYNC_BOOST", "SW_THERMAL_SLOWDOWN", "HW_THERMAL_SLOWDOWN",
  // "HW_POWER_BRAKE_SLOWDOWN". Idle, application clocks and display are not among them.
  std::vector<std::string> clock_events;
  // Work of others on the device, one line each: "pid 1234 python3 512 MiB".
  std::vector<std::string> foreign_work;
};

// Thread-safe. Restores the clocks that it locked when it is destroyed.
class DeviceMonitor {
 public:
  virtual ~DeviceMonitor() = default;
  // Never fails. Takes less than a millisecond, but for what the driver is slow to tell: that is
  // asked for on a grid of time, at most every 0.1 s, and comes from the last look in between.
  virtual DeviceReading Read() = 0;
  // What belongs into a run's environment and does not change while it runs: driver_version,
  // vbios, power_limit_watts, ecc_mode, persistence_mode, compute_mode, mig_mode, pcie_generation,
  // pcie_width, clock_sm_default_hertz, clock_sm_maximum_hertz, cpu_governor, ...
  virtual std::map<std::string, std::string> Facts() = 0;
  // Holds the compute clock at its default until Unlock or destruction.
  // Errors: PermissionDenied/CLOCK_LOCK_NOT_PERMITTED, Unimplemented/CLOCK_LOCK_UNSUPPORTED.
  virtual absl::Status LockClocks() = 0;
  virtual absl::Status UnlockClocks() = 0;
};

using MonitorFactory = std::function<std::unique_ptr<DeviceMonitor>(const DeviceInfo&)>;

// A monitor of a device that tells nothing.
std::unique_ptr<DeviceMonitor> MakeSilentMonitor();

}  // namespace qtipd

#endif  // QTIPD_SERVER_TELEMETRY_DEVICE_MONITOR_H_
