#include "server/telemetry/cpu_counters.h"

#include <unistd.h>

#include <array>
#include <cctype>
#include <fstream>
#include <sstream>

#include "server/base/text_file.h"

namespace qtipd {
namespace {

// utime and stime, the 14th and 15th words; the second, the name, may hold spaces.
std::optional<double> OwnTicks(const std::string& root) {
  const std::optional<std::string> line = ReadFirstLine(root + "/proc/self/stat");
  const size_t end = line ? line->rfind(')') : std::string::npos;
  if (end == std::string::npos) return std::nullopt;
  std::istringstream words(line->substr(end + 1));
  std::string skipped;
  for (int i = 3; i < 14; ++i) words >> skipped;
  double user = 0;
  double system = 0;
  if (!(words >> user >> system)) return std::nullopt;
  return user + system;
}

}  // namespace

std::optional<CpuCounters> ReadCpuCounters(const std::string& root) {
  std::ifstream file(root + "/proc/stat");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  std::istringstream words(line);
  std::string name;
  // user nice system idle iowait irq softirq steal
  std::array<double, 8> ticks = {};
  words >> name;
  for (double& value : ticks) words >> value;
  const std::optional<double> own = OwnTicks(root);
  if (!words || name != "cpu" || !own) return std::nullopt;
  CpuCounters counters;
  while (std::getline(file, line) && line.starts_with("cpu")) ++counters.cpus;
  const double second = static_cast<double>(sysconf(_SC_CLK_TCK));
  counters.busy_seconds = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) / second;
  counters.steal_seconds = ticks[7] / second;
  for (const double value : ticks) counters.total_seconds += value / second;
  counters.own_seconds = *own / second;
  return counters;
}

}  // namespace qtipd
