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
  std::optional<uint64_t> ecc_corrected_errors;  // since the driver was loaded
  std::optional<uint64_t> ecc_uncorrected_errors;
  // Reasons for which the clock is lower than it could be, upper snake: "SW_POWER_CAP",
  // "HW_SLOWDOWN", "SYNC_BOOST", "SW_THERMAL_SLOWDOWN", "HW_THERMAL_SLOWDOWN",
  // "HW_POWER_BRAKE_SLOWDOWN". Idle, application clocks and display are not among them.
  std::vector<std::string> clock_events;
  // Work of others on the device, one line each: "pid 1234 python3 512 MiB".
  std::vector<std::string> foreign_work;
  // Others that hold memory of the device and run nothing on it, in the same words; empty where the
  // device does not tell them from those that do.
  std::vector<std::string> idle_processes;
};

// A look at the counter of the energy that a device has used.
struct EnergyReading {
  double joules = 0;   // differences count
  double seconds = 0;  // when it was read, on the monitor's monotonic clock
};

// How new a reading has to be.
enum class Freshness {
  kLast,   // whatever the last look saw, by whomever; asks nothing of the device
  kGrid,   // what is slow to tell may come from a look shortly before
  kNow,    // all of it now
  kBegin,  // the same, and what a monitor tells by comparing two looks counts from here on
};

// Thread-safe. Restores the clocks that it locked when it is destroyed.
class DeviceMonitor {
 public:
  virtual ~DeviceMonitor() = default;
  // Never fails. On the grid it takes less than a millisecond, but for what the driver is slow to
  // tell: that is asked for at most every quarter of a second.
  virtual DeviceReading Read(Freshness freshness) = 0;
  DeviceReading Read() { return Read(Freshness::kGrid); }
  // Reads the counter now, which can take milliseconds (of a GPU 2.8 ms in the median and 16 ms at
  // most); nothing where the device has none.
  virtual std::optional<EnergyReading> ReadEnergy() = 0;
  // What belongs into a run's environment and does not change while it runs: driver_version,
  // vbios, power_limit_watts, ecc_mode, persistence_mode, compute_mode, mig_mode, pcie_generation,
  // pcie_width, clock_sm_default_hertz, clock_sm_maximum_hertz, cpu_governor, ...
  // foreign_work is there, and "unknown", where the device cannot say who else uses it.
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
