// What the doctor wants to know of the host, gathered once.
#ifndef QTIPD_SERVER_ENGINE_DOCTOR_HOST_SNAPSHOT_H_
#define QTIPD_SERVER_ENGINE_DOCTOR_HOST_SNAPSHOT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/io/host_facts.h"
#include "server/telemetry/cpu_counters.h"

namespace qtipd {

struct HostSnapshot {
  bool has_nvidia_gpu = false;                  // on the PCI bus
  std::optional<bool> are_counters_for_admins;  // NVIDIA's RmProfilingAdminOnly
  bool can_profile_as_admin = false;            // qtip-profiler gets CAP_SYS_ADMIN or CAP_PERFMON
  // Why a capability of the helper's file would not be given to it: no_new_privs, or a bounding set
  // without it, both as a service manager sets them.
  bool are_privileges_barred = false;
  std::vector<std::string> counter_holders;      // "nv-hostengine (pid 12)"
  std::string cupti;                             // path of libcupti.so; empty: not found
  std::string cuobjdump;                         // path; empty: not found
  std::map<std::string, std::string> cpu_facts;  // of ReadCpuFacts
  int cpus = 0;                                  // that the kernel runs
  bool has_cpu_counters = false;                 // the kernel knows a unit of the processor's cores
  std::optional<double> load_average;            // of the last minute
  std::optional<double> steal_share;             // of the CPU time since the daemon started
  uint64_t throttled_periods = 0;                // of our control group since the daemon started
  HostMemory memory;
  std::string data_dir;
  std::optional<uint64_t> disk_free_bytes;  // of the data directory
};

// Counters whose growth matters; taken when the daemon starts.
struct HostBaseline {
  std::optional<CpuCounters> cpu;
  uint64_t throttled_periods = 0;
};

struct HostSources {
  std::string root;  // stands for "/"
  std::string data_dir;
  std::string path;          // $PATH
  std::string library_path;  // $LD_LIBRARY_PATH
  std::string cuda_home;     // $CUDA_HOME
  std::string profiler;      // path of qtip-profiler
};

// The capabilities that a program's "security.capability" attribute gives when it is started, one
// bit each; 0 of what is none. Layout: struct vfs_cap_data of <linux/capability.h>.
uint64_t CapabilitiesOfFile(std::span<const unsigned char> attribute);

HostBaseline ReadHostBaseline(const std::string& root = "");

// Takes milliseconds; opens no library and starts nothing.
HostSnapshot ReadHostSnapshot(const HostSources& sources, const HostBaseline& baseline);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_DOCTOR_HOST_SNAPSHOT_H_
