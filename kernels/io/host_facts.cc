#include "kernels/io/host_facts.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

namespace qtipd {
namespace {

std::optional<std::string> ReadFirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

// A number, "max" being none.
std::optional<uint64_t> ReadNumber(const std::string& path) {
  const std::optional<std::string> line = ReadFirstLine(path);
  if (!line || line->empty() || line->front() < '0' || line->front() > '9') return std::nullopt;
  return std::strtoull(line->c_str(), nullptr, 10);
}

// The number after `key` in a file of "key value" lines.
std::optional<uint64_t> ReadField(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string name;
    uint64_t value = 0;
    if (words >> name >> value && name == key) return value;
  }
  return std::nullopt;
}

struct ControlGroup {
  bool is_v2 = false;
  std::vector<std::string> folders;  // ours first, then its parents up to the mount
};

// The folders of our group that hold the files of `controller`.
ControlGroup FindControlGroup(const std::string& root, const std::string& controller) {
  ControlGroup group;
  std::string path;
  std::ifstream file(root + "/proc/self/cgroup");
  std::string line;
  std::string mount = root + "/sys/fs/cgroup";
  while (std::getline(file, line)) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controllers == ",,") {
      if (path.empty()) path = line.substr(second + 1), group.is_v2 = true;
    } else if (controllers.find("," + controller + ",") != std::string::npos) {
      path = line.substr(second + 1), group.is_v2 = false;
    }
  }
  if (!group.is_v2) mount += "/" + controller;
  while (path.size() > 1) {
    group.folders.push_back(mount + path);
    path.resize(path.rfind('/'));
  }
  group.folders.push_back(mount);
  return group;
}

std::optional<double> QuotaOf(const std::string& folder, bool is_v2) {
  if (is_v2) {
    std::istringstream words(ReadFirstLine(folder + "/cpu.max").value_or("max"));
    double quota = 0;
    double period = 0;
    if (words >> quota >> period && period > 0) return quota / period;
    return std::nullopt;
  }
  const auto quota = ReadNumber(folder + "/cpu.cfs_quota_us");  // -1 means none
  const auto period = ReadNumber(folder + "/cpu.cfs_period_us");
  if (!quota || !period || *period == 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

int UsableThreads(const std::string& root) {
  cpu_set_t affinity;
  CPU_ZERO(&affinity);
  double threads = 1;
  if (sched_getaffinity(0, sizeof affinity, &affinity) == 0) threads = CPU_COUNT(&affinity);
  const ControlGroup group = FindControlGroup(root, "cpu");
  for (const std::string& folder : group.folders) {
    threads = std::min(threads, QuotaOf(folder, group.is_v2).value_or(threads));
  }
  return std::max(1, static_cast<int>(threads));
}

std::string CpuName(const std::string& root) {
  std::ifstream file(root + "/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "";
}

// sysfs sizes read "32768K".
uint64_t LastLevelCacheBytes(const std::string& root) {
  uint64_t largest = 0;
  for (int index = 0; index < 8; ++index) {
    const std::string folder =
        root + "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    const std::optional<std::string> size = ReadFirstLine(folder + "/size");
    if (!size) break;
    const uint64_t unit = size->ends_with('M') ? 1 << 20 : size->ends_with('K') ? 1 << 10 : 1;
    largest = std::max<uint64_t>(largest, std::strtoull(size->c_str(), nullptr, 10) * unit);
  }
  return largest;
}

// Limits `memory` by one control group.
void ApplyLimit(const std::string& folder, bool is_v2, HostMemory& memory) {
  const auto limit = ReadNumber(folder + (is_v2 ? "/memory.max" : "/memory.limit_in_bytes"));
  const auto usage = ReadNumber(folder + (is_v2 ? "/memory.current" : "/memory.usage_in_bytes"));
  if (!limit || !usage || *limit >= memory.total_bytes) return;
  const uint64_t cache =
      ReadField(folder + "/memory.stat", is_v2 ? "inactive_file" : "total_inactive_file")
          .value_or(0);
  const uint64_t held = *usage - std::min(*usage, cache);
  memory.total_bytes = *limit;
  memory.available_bytes = std::min(memory.available_bytes, *limit - std::min(*limit, held));
}

}  // namespace

HostFacts ReadHostFacts(const std::string& root) {
  return {CpuName(root), LastLevelCacheBytes(root), UsableThreads(root)};
}

HostMemory ReadHostMemory(const std::string& root) {
  HostMemory memory;
  memory.total_bytes = ReadField(root + "/proc/meminfo", "MemTotal:").value_or(0) * 1024;
  memory.available_bytes = ReadField(root + "/proc/meminfo", "MemAvailable:").value_or(0) * 1024;
  const ControlGroup group = FindControlGroup(root, "memory");
  for (const std::string& folder : group.folders) ApplyLimit(folder, group.is_v2, memory);
  return memory;
}

HostCpuLimit ReadHostCpuLimit(const std::string& root) {
  HostCpuLimit limit;
  const ControlGroup group = FindControlGroup(root, "cpu");
  for (const std::string& folder : group.folders) {
    const std::optional<double> quota = QuotaOf(folder, group.is_v2);
    if (quota && (limit.quota_cpus == 0 || *quota < limit.quota_cpus)) limit.quota_cpus = *quota;
    limit.throttled_periods += ReadField(folder + "/cpu.stat", "nr_throttled").value_or(0);
  }
  return limit;
}

}  // namespace qtipd
