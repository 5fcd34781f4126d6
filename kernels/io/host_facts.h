// What the operating system says about this machine and about the limits of our control group.
#ifndef QTIPD_KERNELS_IO_HOST_FACTS_H_
#define QTIPD_KERNELS_IO_HOST_FACTS_H_

#include <cstdint>
#include <string>

namespace qtipd {

struct HostFacts {
  std::string cpu_name;  // "AMD EPYC 9575F"; empty where /proc/cpuinfo does not say
  uint64_t last_level_cache_bytes = 0;
  int usable_threads = 1;  // CPUs in our affinity mask, at most the control group's quota
};

struct HostMemory {
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;
};

// What our control group and its parents allow of the CPUs.
struct HostCpuLimit {
  double quota_cpus = 0;           // the smallest quota; 0: none
  uint64_t throttled_periods = 0;  // scheduling periods in which a quota stopped us, so far
};

// `root` stands for "/" (tests point it at files of their own); no trailing slash. What cannot be
// read keeps its default.
HostFacts ReadHostFacts(const std::string& root = "");

// Of /proc/meminfo and every memory limit of our control group (v1 or v2) and its parents, the
// smallest. Page cache that the kernel can drop counts as available.
HostMemory ReadHostMemory(const std::string& root = "");

HostCpuLimit ReadHostCpuLimit(const std::string& root = "");

}  // namespace qtipd

#endif  // QTIPD_KERNELS_IO_HOST_FACTS_H_
