#include "server/base/host_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace qtipd {
namespace {

constexpr uint64_t kUnknown = std::numeric_limits<uint64_t>::max();

std::optional<uint64_t> ReadNumber(const char* path) {
  std::ifstream file(path);
  uint64_t value = 0;
  if (file >> value) return value;  // "max" is no number: no limit
  return std::nullopt;
}

uint64_t MemAvailable() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  uint64_t kibibytes = 0;
  std::string unit;
  while (file >> key >> kibibytes) {
    if (key == "MemAvailable:") return kibibytes * 1024;
    std::getline(file, unit);
  }
  return kUnknown;
}

uint64_t CgroupAvailable() {
  const std::optional<uint64_t> limit = ReadNumber("/sys/fs/cgroup/memory.max");
  const std::optional<uint64_t> used = ReadNumber("/sys/fs/cgroup/memory.current");
  if (!limit || !used) return kUnknown;
  return *limit > *used ? *limit - *used : 0;
}

}  // namespace

uint64_t AvailableHostBytes() { return std::min(MemAvailable(), CgroupAvailable()); }

}  // namespace qtipd
