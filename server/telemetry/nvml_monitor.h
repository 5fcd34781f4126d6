// The monitor of an NVIDIA GPU.
#ifndef QTIPD_SERVER_TELEMETRY_NVML_MONITOR_H_
#define QTIPD_SERVER_TELEMETRY_NVML_MONITOR_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/api/device.h"
#include "server/base/clock.h"
#include "server/telemetry/device_monitor.h"
#include "server/telemetry/nvml_api.h"

namespace qtipd {

struct NvmlMonitorOptions {
  std::string marker_directory;  // where ClockLock keeps its marker
  int own_pid = 0;               // this process, which is no foreign work
  std::string root;              // stands for "/"; /proc names processes, /sys the NUMA node
};

// Finds the device by its UUID or its PCI bus id (DeviceInfo::properties["pci_bus_id"]), never by
// an index: CUDA_VISIBLE_DEVICES reorders those. Of a MIG instance clocks, power and temperature
// are the whole GPU's, which Facts() says; only its processes are its own. `clock` outlives the
// monitor.
//
// What can cost milliseconds comes from the last look in between where Freshness::kGrid will do:
// lists of processes are read at most every 0.25 s, error counters every second. All else is read
// every time and takes 0.4 ms (an H200 with driver 580); the energy counter, which takes 2.8 ms in
// the median and 16 ms at most there, is read by ReadEnergy alone. Who else works on the device is
// told by the driver's samples of the last two seconds (ForeignProcesses). Errors:
// NotFound/NVML_DEVICE_NOT_FOUND.
absl::StatusOr<std::unique_ptr<DeviceMonitor>> MakeNvmlMonitor(std::shared_ptr<Nvml> nvml,
                                                               const DeviceInfo& info, Clock& clock,
                                                               NvmlMonitorOptions options);

// Names of the bits of NVML's clock event reasons that mean a lower clock, as DeviceReading has
// them.
std::vector<std::string> ClockEventNames(uint64_t reasons);

}  // namespace qtipd

#endif  // QTIPD_SERVER_TELEMETRY_NVML_MONITOR_H_
