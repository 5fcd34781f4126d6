#include "server/engine/doctor/host_snapshot.h"

#include <sys/xattr.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "server/base/text_file.h"
#include "server/profiler/cupti_api.h"
#include "server/telemetry/cpu_sensors.h"

namespace qtipd {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCuptiNames[] = {"libcupti.so.13", "libcupti.so.12", "libcupti.so"};
constexpr int kCapSysAdmin = 21;  // <linux/capability.h>
constexpr int kCapPerfmon = 38;

std::vector<std::string> SplitPath(const std::string& text) {
  std::vector<std::string> folders;
  std::istringstream stream(text);
  for (std::string folder; std::getline(stream, folder, ':');) {
    if (!folder.empty()) folders.push_back(folder);
  }
  return folders;
}

// The first of `folders` that holds `name`, or "".
std::string FindIn(const std::string& root, const std::vector<std::string>& folders,
                   const std::string& name) {
  for (const std::string& folder : folders) {
    std::error_code ignored;
    std::string path = folder + "/" + name;
    if (fs::exists(root + path, ignored)) return path;
  }
  return "";
}

// The loader's cache holds whole paths as C strings.
std::string FindInLoaderCache(const std::string& root, const std::string& name) {
  std::ostringstream content;
  content << std::ifstream(root + "/etc/ld.so.cache", std::ios::binary).rdbuf();
  const std::string cache = content.str();
  const size_t at = cache.find("/" + name + std::string(1, '\0'));
  if (at == std::string::npos) return "";
  const size_t before = cache.rfind('\0', at);
  const size_t begin = before == std::string::npos ? 0 : before + 1;
  std::string path = cache.substr(begin, at + 1 + name.size() - begin);
  std::error_code ignored;
  return fs::exists(root + path, ignored) ? path : "";
}

std::string FolderOf(const std::string& program) {
  return program.empty() ? "" : fs::path(program).parent_path().string();
}

// As qtip-profiler looks: by whole paths, then by name as the loader does.
std::string FindCupti(const HostSources& sources) {
  for (const std::string& path : CuptiCandidates(FolderOf(sources.profiler), sources.cuda_home)) {
    std::error_code ignored;
    if (path.rfind('/') == 0 || path[0] != '/') continue;  // no folder is known, or a bare name
    if (fs::exists(sources.root + path, ignored)) return path;
  }
  std::vector<std::string> folders = SplitPath(sources.library_path);
  folders.emplace_back("/usr/lib/x86_64-linux-gnu");
  for (const char* name : kCuptiNames) {
    std::string found = FindIn(sources.root, folders, name);
    if (found.empty()) found = FindInLoaderCache(sources.root, name);
    if (!found.empty()) return found;
  }
  return "";
}

std::string FindCuobjdump(const HostSources& sources) {
  std::vector<std::string> folders;
  if (!sources.profiler.empty()) folders.push_back(FolderOf(sources.profiler));
  if (!sources.cuda_home.empty()) folders.push_back(sources.cuda_home + "/bin");
  folders.emplace_back("/usr/local/cuda/bin");
  for (std::string& folder : SplitPath(sources.path)) folders.push_back(std::move(folder));
  return FindIn(sources.root, folders, "cuobjdump");
}

// Source: Linux, Documentation/ABI/testing/sysfs-bus-event_source-devices-events, and the names
// under which arch/x86/events and drivers/perf/arm_pmu* register the units of cores.
bool HasCpuCounters(const std::string& root) {
  std::error_code error;
  for (fs::directory_iterator entry(root + "/sys/bus/event_source/devices", error), end;
       !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (name == "cpu" || name == "cpu_core" || name == "cpu_atom" || name.starts_with("armv8_")) {
      return true;
    }
  }
  return false;
}

// A display or 3D controller (class 0x03....) of vendor 0x10de.
bool HasNvidiaGpu(const std::string& root) {
  std::error_code error;
  for (fs::directory_iterator entry(root + "/sys/bus/pci/devices", error), end;
       !error && entry != end; entry.increment(error)) {
    const std::string vendor = ReadFirstLine(entry->path() / "vendor").value_or("");
    const std::string kind = ReadFirstLine(entry->path() / "class").value_or("");
    if (vendor == "0x10de" && kind.starts_with("0x03")) return true;
  }
  return false;
}

// What stands after "NAME:" in a file of such lines.
std::optional<std::string> ReadNamed(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with(name + ":")) continue;
    const size_t begin = line.find_first_not_of(" \t", name.size() + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return std::nullopt;
}

constexpr uint64_t kProfiling = uint64_t{1} << kCapSysAdmin | uint64_t{1} << kCapPerfmon;

// A mask in hexadecimal of /proc/self/status.
uint64_t ReadMask(const std::string& root, const std::string& name, uint64_t otherwise = 0) {
  const auto mask = ReadNamed(root + "/proc/self/status", name);
  return mask ? std::strtoull(mask->c_str(), nullptr, 16) : otherwise;
}

uint32_t LittleEndian32(std::span<const unsigned char> bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= static_cast<uint32_t>(bytes[at + i]) << (8 * i);
  return value;
}

uint64_t ReadFileCapabilities(const std::string& path) {
  unsigned char attribute[64];
  const ssize_t size = getxattr(path.c_str(), "security.capability", attribute, sizeof(attribute));
  return size > 0 ? CapabilitiesOfFile({attribute, static_cast<size_t>(size)}) : 0;
}

// What a program that this process starts has: root's capabilities and ambient ones are passed on,
// others come from the program's file, unless that is barred. Source: capabilities(7),
// "Transformation of capabilities during execve()".
void FillProfilingRights(const HostSources& sources, HostSnapshot& host) {
  const std::string& root = sources.root;
  const std::string uids = ReadNamed(root + "/proc/self/status", "Uid").value_or("");
  std::istringstream words(uids);  // real, effective, ...
  int64_t real = -1;
  int64_t effective = -1;
  words >> real >> effective;
  const uint64_t passed_on =
      ReadMask(root, "CapAmb") | (effective == 0 ? ReadMask(root, "CapEff") : 0);
  const bool has_no_new = ReadNamed(root + "/proc/self/status", "NoNewPrivs").value_or("0") != "0";
  const uint64_t bounds = ReadMask(root, "CapBnd", ~uint64_t{0});
  host.are_privileges_barred = has_no_new || (bounds & kProfiling) == 0;
  const uint64_t from_file =
      has_no_new || sources.profiler.empty() ? 0 : ReadFileCapabilities(root + sources.profiler);
  host.can_profile_as_admin = ((passed_on | (from_file & bounds)) & kProfiling) != 0;
}

// Programs that hold a GPU's performance counters while they collect profiling metrics.
std::vector<std::string> CounterHolders(const std::string& root) {
  std::vector<std::string> holders;
  std::error_code error;
  for (fs::directory_iterator entry(root + "/proc", error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string pid = entry->path().filename();
    if (std::isdigit(static_cast<unsigned char>(pid[0])) == 0) continue;
    const std::string name = ReadFirstLine(entry->path() / "comm").value_or("");
    if (name == "nv-hostengine" || name == "dcgm-exporter") {
      holders.push_back(name + " (pid " + pid + ")");
    }
  }
  std::sort(holders.begin(), holders.end());
  return holders;
}

std::optional<double> LoadAverage(const std::string& root) {
  const std::optional<std::string> line = ReadFirstLine(root + "/proc/loadavg");
  if (!line) return std::nullopt;
  return std::strtod(line->c_str(), nullptr);
}

void FillCpuTime(const HostSources& sources, const HostBaseline& baseline, HostSnapshot& host) {
  const auto now = ReadCpuCounters(sources.root);
  if (!now) return;
  host.cpus = now->cpus;
  if (!baseline.cpu) return;
  const double total = now->total_seconds - baseline.cpu->total_seconds;
  if (total > 0) host.steal_share = (now->steal_seconds - baseline.cpu->steal_seconds) / total;
}

}  // namespace

uint64_t CapabilitiesOfFile(std::span<const unsigned char> attribute) {
  constexpr size_t kBytes = 20;  // magic, then permitted and inheritable, low and high words
  constexpr uint32_t kRevision2 = 0x02000000;
  constexpr uint32_t kRevision3 = 0x03000000;
  constexpr uint32_t kRevisionMask = 0xFF000000;
  constexpr uint32_t kEffective = 1;
  if (attribute.size() < kBytes) return 0;
  const uint32_t magic = LittleEndian32(attribute, 0);
  const uint32_t revision = magic & kRevisionMask;
  if (revision != kRevision2 && revision != kRevision3) return 0;
  if ((magic & kEffective) == 0) return 0;  // permitted, but the program would have to raise them
  return uint64_t{LittleEndian32(attribute, 4)} | uint64_t{LittleEndian32(attribute, 12)} << 32;
}

HostBaseline ReadHostBaseline(const std::string& root) {
  return {ReadCpuCounters(root), ReadHostCpuLimit(root).throttled_periods};
}

HostSnapshot ReadHostSnapshot(const HostSources& sources, const HostBaseline& baseline) {
  HostSnapshot host;
  host.has_nvidia_gpu = HasNvidiaGpu(sources.root);
  if (const auto value =
          ReadNamed(sources.root + "/proc/driver/nvidia/params", "RmProfilingAdminOnly")) {
    host.are_counters_for_admins = *value != "0";
  }
  FillProfilingRights(sources, host);
  host.counter_holders = CounterHolders(sources.root);
  host.cupti = FindCupti(sources);
  host.cuobjdump = FindCuobjdump(sources);
  host.cpu_facts = ReadCpuFacts(sources.root);
  host.has_cpu_counters = HasCpuCounters(sources.root);
  host.load_average = LoadAverage(sources.root);
  FillCpuTime(sources, baseline, host);
  const uint64_t throttled = ReadHostCpuLimit(sources.root).throttled_periods;
  host.throttled_periods = throttled - std::min(throttled, baseline.throttled_periods);
  host.memory = ReadHostMemory(sources.root);
  host.data_dir = sources.data_dir;
  std::error_code error;
  const fs::space_info space = fs::space(sources.data_dir, error);
  if (!error) host.disk_free_bytes = space.available;
  return host;
}

}  // namespace qtipd
