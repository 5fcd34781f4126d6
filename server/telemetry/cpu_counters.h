// CPU time as the kernel counts it, of the machine and of this process.
#ifndef QTIPD_SERVER_TELEMETRY_CPU_COUNTERS_H_
#define QTIPD_SERVER_TELEMETRY_CPU_COUNTERS_H_

#include <optional>
#include <string>

namespace qtipd {

// Seconds since boot, summed over CPUs; the kernel counts in steps of 10 ms.
struct CpuCounters {
  int cpus = 0;
  double busy_seconds = 0;   // user, nice, system, interrupts; guests are within user
  double steal_seconds = 0;  // wanted to run, but the hypervisor ran others
  double total_seconds = 0;  // all of it, idle included
  double own_seconds = 0;    // user and system of every thread of this process
};

// Of /proc/stat and /proc/self/stat below `root`; absent where either cannot be read.
std::optional<CpuCounters> ReadCpuCounters(const std::string& root = "");

}  // namespace qtipd

#endif  // QTIPD_SERVER_TELEMETRY_CPU_COUNTERS_H_
