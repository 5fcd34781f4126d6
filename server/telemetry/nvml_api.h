// NVIDIA's management library (NVML), opened at run time through declarations of our own.
//
// Source: NVML API reference, https://docs.nvidia.com/deploy/nvml-api/. Numbers and structs are
// those of its ABI, which is stable; a newer symbol is preferred to its older form.
#ifndef QTIPD_SERVER_TELEMETRY_NVML_API_H_
#define QTIPD_SERVER_TELEMETRY_NVML_API_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace qtipd {

// nvmlReturn_t, as far as we tell its values apart.
enum class NvmlReturn : int {
  kSuccess = 0,
  kInvalidArgument = 2,
  kNotSupported = 3,
  kNoPermission = 4,
  kNotFound = 6,
  kInsufficientSize = 7,
  kFunctionNotFound = 13,
};

// nvmlDevice_t. Owned by the library; valid as long as the process.
struct NvmlDeviceHandle;
using NvmlDevice = NvmlDeviceHandle*;

// One number that a device tells.
enum class NvmlQuantity {
  kSmClockMhz,
  kMemoryClockMhz,
  kSmClockMaximumMhz,
  kMemoryClockMaximumMhz,
  kSmClockApplicationMhz,
  kMemoryClockApplicationMhz,
  kSmClockDefaultMhz,
  kMemoryClockDefaultMhz,
  kTemperatureCelsius,
  kTemperatureSlowdownCelsius,
  kPowerMilliwatts,  // now, where the device tells that; else its own average
  kPowerLimitMilliwatts,
  kPowerLimitDefaultMilliwatts,
  kEnergyMillijoules,  // since the driver was loaded
  kClockEventReasons,  // a bit mask
  kEccCorrected,       // since the driver was loaded
  kEccUncorrected,
  kEccMode,          // 0 off, 1 on
  kPersistenceMode,  // 0 off, 1 on
  kComputeMode,      // 0 default, 1 exclusive thread, 2 prohibited, 3 exclusive process
  kMigMode,          // 0 off, 1 on
  kPcieGeneration,
  kPcieGenerationMaximum,
  kPcieWidth,
  kPcieWidthMaximum,
  kCount,
};
std::string_view NvmlQuantityName(NvmlQuantity quantity);  // "sm_clock_mhz"

struct NvmlProcess {
  uint32_t pid = 0;  // of the caller's PID namespace, or of the host's where the driver cannot tell
  std::optional<uint64_t> memory_bytes;
};

// What one process ran on a device lately.
struct NvmlProcessUse {
  uint32_t pid = 0;
  uint32_t sm_percent = 0;  // of the time that its sample covers
};

// Thread-safe. Whatever the library, the driver or the device does not have is absent and no error.
class Nvml {
 public:
  virtual ~Nvml() = default;
  virtual std::optional<std::string> DriverVersion() = 0;
  // "GPU-..." or "MIG-..."; null where there is none.
  virtual NvmlDevice FindByUuid(const std::string& uuid) = 0;
  virtual NvmlDevice FindByPciBusId(const std::string& bus_id) = 0;
  // The GPU that a MIG instance is a part of; null where there is none.
  virtual NvmlDevice ParentOfMig(NvmlDevice instance) = 0;
  virtual std::optional<std::string> VbiosVersion(NvmlDevice device) = 0;
  virtual std::optional<uint64_t> Read(NvmlDevice device, NvmlQuantity quantity) = 0;
  // Everybody with a context on the device: compute, graphics and MPS clients, one entry a process.
  virtual std::optional<std::vector<NvmlProcess>> Processes(NvmlDevice device) = 0;
  // The use that the driver sampled after `since_microseconds` of the Unix epoch, every second or
  // so; empty where nobody ran anything, absent where the driver does not tell.
  virtual std::optional<std::vector<NvmlProcessUse>> ProcessUse(NvmlDevice device,
                                                                uint64_t since_microseconds) = 0;
  // Hold the graphics clock between two bounds; undo it. Both need root.
  virtual NvmlReturn SetGpuLockedClocks(NvmlDevice device, uint32_t low_mhz, uint32_t high_mhz) = 0;
  virtual NvmlReturn ResetGpuLockedClocks(NvmlDevice device) = 0;
  // The library's own words.
  virtual std::string ErrorText(NvmlReturn code) = 0;
};

// Opens libnvidia-ml.so.1 and initialises it. It is never closed: NVML's threads outlive its users.
// Errors: Unavailable/NVML_UNAVAILABLE with the loader's or the library's own words.
absl::StatusOr<std::shared_ptr<Nvml>> OpenNvml();

// The same over `find`, which returns the address of a C function or null.
absl::StatusOr<std::shared_ptr<Nvml>> OpenNvmlWith(
    const std::function<void*(const char* symbol)>& find);

}  // namespace qtipd

#endif  // QTIPD_SERVER_TELEMETRY_NVML_API_H_
