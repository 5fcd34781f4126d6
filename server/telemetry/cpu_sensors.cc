#include "server/telemetry/cpu_sensors.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "kernels/io/host_facts.h"
#include "server/base/text_file.h"

namespace qtipd {
namespace {

namespace fs = std::filesystem;

// The entries of a folder by name; none where it cannot be read.
std::vector<fs::path> Entries(const std::string& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    entries.push_back(entry->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

// Folders of the CPUs that are there: cpu0, cpu1, ...
std::vector<std::string> CpuFolders(const std::string& root) {
  std::vector<std::string> folders;
  for (const fs::path& entry : Entries(root + "/sys/devices/system/cpu")) {
    const std::string name = entry.filename();
    if (name.size() > 3 && name.starts_with("cpu") &&
        std::isdigit(static_cast<unsigned char>(name[3])) != 0) {
      folders.push_back(entry);
    }
  }
  return folders;
}

// The value of every line "cpu MHz : 2596.118".
std::optional<double> CpuinfoHertz(const std::string& root) {
  std::ifstream file(root + "/proc/cpuinfo");
  std::string line;
  double sum = 0;
  int count = 0;
  while (std::getline(file, line)) {
    const size_t colon = line.find(':');
    if (!line.starts_with("cpu MHz") || colon == std::string::npos) continue;
    sum += std::strtod(line.c_str() + colon + 1, nullptr) * 1e6;
    ++count;
  }
  if (count == 0 || sum <= 0) return std::nullopt;
  return sum / count;
}

// Thousandths of a degree.
void Hotter(const std::optional<int64_t>& millidegrees, std::optional<double>& hottest) {
  if (!millidegrees) return;
  const double celsius = static_cast<double>(*millidegrees) / 1000;
  if (!hottest || celsius > *hottest) hottest = celsius;
}

bool IsHypervisorFlagged(const std::string& root) {
  std::ifstream file(root + "/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("flags")) return (line + " ").find(" hypervisor ") != std::string::npos;
  }
  return false;
}

// "performance", or every governor that some CPU has.
std::string Governors(const std::string& root) {
  std::set<std::string> governors;
  for (const std::string& cpu : CpuFolders(root)) {
    if (const auto governor = ReadFirstLine(cpu + "/cpufreq/scaling_governor")) {
      governors.insert(*governor);
    }
  }
  std::string text;
  for (const std::string& governor : governors) text += (text.empty() ? "" : ", ") + governor;
  return text;
}

std::string Turbo(const std::string& root) {
  const std::string cpu = root + "/sys/devices/system/cpu";
  if (const auto off = ReadNumber(cpu + "/intel_pstate/no_turbo")) return *off == 0 ? "on" : "off";
  if (const auto on = ReadNumber(cpu + "/cpufreq/boost")) return *on != 0 ? "on" : "off";
  return "";
}

// "[always] madvise never" -> "always"
std::string Chosen(const std::string& line) {
  const size_t begin = line.find('[');
  const size_t end = line.find(']');
  if (begin == std::string::npos || end == std::string::npos || end < begin) return line;
  return line.substr(begin + 1, end - begin - 1);
}

}  // namespace

std::optional<double> ReadCpuClockHertz(const std::string& root) {
  double sum = 0;
  int count = 0;
  for (const std::string& cpu : CpuFolders(root)) {
    const auto kilohertz = ReadNumber(cpu + "/cpufreq/scaling_cur_freq");
    if (!kilohertz) break;
    sum += static_cast<double>(*kilohertz) * 1e3;
    ++count;
  }
  return count > 0 ? std::optional<double>(sum / count) : CpuinfoHertz(root);
}

std::optional<double> ReadCpuTemperatureCelsius(const std::string& root) {
  std::optional<double> hottest;
  for (const fs::path& chip : Entries(root + "/sys/class/hwmon")) {
    const std::string name = ReadFirstLine(chip / "name").value_or("");
    if (name != "coretemp" && name != "k10temp" && name != "zenpower") continue;
    for (const fs::path& file : Entries(chip)) {
      const std::string stem = file.filename();
      if (stem.starts_with("temp") && stem.ends_with("_input")) Hotter(ReadNumber(file), hottest);
    }
  }
  if (hottest) return hottest;
  for (const fs::path& zone : Entries(root + "/sys/class/thermal")) {
    const std::string type = ReadFirstLine(zone / "type").value_or("");
    if (type == "x86_pkg_temp" || type.starts_with("cpu")) {
      Hotter(ReadNumber(zone / "temp"), hottest);
    }
  }
  return hottest;
}

std::optional<uint64_t> ReadCpuThrottleCount(const std::string& root) {
  std::optional<uint64_t> sum;
  for (const std::string& cpu : CpuFolders(root)) {
    for (const char* file : {"core_throttle_count", "package_throttle_count"}) {
      const auto count = ReadNumber(cpu + "/thermal_throttle/" + file);
      if (count) sum = sum.value_or(0) + static_cast<uint64_t>(*count);
    }
  }
  return sum;
}

std::vector<EnergyCounter> FindPackageEnergy(const std::string& root) {
  std::vector<EnergyCounter> counters;
  for (const fs::path& zone : Entries(root + "/sys/class/powercap")) {
    const std::string name = ReadFirstLine(zone / "name").value_or("");
    const std::string path = zone / "energy_uj";
    if (!name.starts_with("package") || !ReadNumber(path)) continue;
    counters.push_back({path, ReadNumber(zone / "max_energy_range_uj").value_or(0)});
  }
  return counters;
}

std::map<std::string, std::string> ReadCpuFacts(const std::string& root) {
  std::map<std::string, std::string> facts;
  const auto add = [&facts](const std::string& key, const std::string& value) {
    if (!value.empty()) facts[key] = value;
  };
  const auto line = [&root](const std::string& path) {
    return ReadFirstLine(root + path).value_or("");
  };
  add("cpu_governor", Governors(root));
  add("cpu_frequency_driver", line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver"));
  add("cpu_turbo", Turbo(root));
  const auto smt = ReadNumber(root + "/sys/devices/system/cpu/smt/active");
  if (smt) facts["cpu_smt"] = *smt != 0 ? "on" : "off";
  add("numa_nodes", line("/sys/devices/system/node/online"));
  if (const double quota = ReadHostCpuLimit(root).quota_cpus; quota > 0) {
    char text[32];
    std::snprintf(text, sizeof(text), "%g", quota);
    facts["cpu_quota"] = text;
  }
  facts["hypervisor"] = IsHypervisorFlagged(root) ? "yes" : "no";
  add("perf_event_paranoid", line("/proc/sys/kernel/perf_event_paranoid"));
  add("transparent_hugepages", Chosen(line("/sys/kernel/mm/transparent_hugepage/enabled")));
  add("clock_source", line("/sys/devices/system/clocksource/clocksource0/current_clocksource"));
  return facts;
}

}  // namespace qtipd
