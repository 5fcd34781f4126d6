// The monitor of the CPU backend's device: the whole machine, as /proc and /sys tell it.
#ifndef QTIPD_SERVER_TELEMETRY_CPU_MONITOR_H_
#define QTIPD_SERVER_TELEMETRY_CPU_MONITOR_H_

#include <memory>
#include <string>

#include "server/base/clock.h"
#include "server/telemetry/device_monitor.h"

namespace qtipd {

// Others' work is what the CPUs did beside this process between two looks, where it is more than 2
// % of the machine's CPU time and more than a tenth of one CPU; and time that the hypervisor took,
// above 1 %. The kernel counts in steps of 10 ms: on the grid the looks are at least 0.5 s apart,
// and what a Read of Freshness::kNow finds in a shorter time must be three steps more. What was
// found is told for one second more, so that two readers see it both, but not beyond a
// Freshness::kBegin. Clock: mean of the CPUs' cpufreq, else of /proc/cpuinfo. Temperature: the
// hottest sensor of coretemp, k10temp or zenpower, else a thermal zone of the package. Energy: RAPL
// packages, which most kernels let only root read. Clock events: the kernel's counters of thermal
// throttling, each new event told once. `clock` outlives the monitor; `root` stands for "/".
std::unique_ptr<DeviceMonitor> MakeCpuMonitor(Clock& clock, std::string root = "");

}  // namespace qtipd

#endif  // QTIPD_SERVER_TELEMETRY_CPU_MONITOR_H_
