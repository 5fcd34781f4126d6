#include "server/telemetry/foreign_processes.h"

#include <algorithm>
#include <optional>
#include <sstream>

#include "server/base/text_file.h"

namespace qtipd {
namespace {

// The parent in "PID (NAME) STATE PARENT ...", where NAME may hold anything.
std::optional<int> ParentOf(const std::string& folder) {
  const std::optional<std::string> line = ReadFirstLine(folder + "/stat");
  const size_t end = line ? line->rfind(')') : std::string::npos;
  if (end == std::string::npos) return std::nullopt;
  std::istringstream words(line->substr(end + 1));
  std::string state;
  int parent = 0;
  if (!(words >> state >> parent)) return std::nullopt;
  return parent;
}

std::string Line(const NvmlProcess& process, const std::string& name) {
  std::string line = "pid " + std::to_string(process.pid) + " " + name;
  if (process.memory_bytes) line += " " + std::to_string(*process.memory_bytes >> 20) + " MiB";
  return line;
}

// Whether both lists number processes alike: our own, which works, is in both. Those that have just
// ended are in one only.
bool IsOneNamespace(const std::vector<NvmlProcess>& processes,
                    const std::vector<NvmlProcessUse>& uses) {
  const auto is_listed = [&](const NvmlProcessUse& use) {
    return std::any_of(processes.begin(), processes.end(),
                       [&](const NvmlProcess& process) { return process.pid == use.pid; });
  };
  return uses.empty() || std::any_of(uses.begin(), uses.end(), is_listed);
}

bool IsWorking(const NvmlProcess& process, const std::vector<NvmlProcessUse>& uses) {
  return std::any_of(uses.begin(), uses.end(), [&](const NvmlProcessUse& use) {
    return use.pid == process.pid && use.sm_percent > 0;
  });
}

void AddHidden(size_t count, std::vector<std::string>& lines) {
  if (count == 0) return;
  lines.push_back(std::to_string(count) + (count == 1 ? " process" : " processes") +
                  " that this container does not show");
}

}  // namespace

ForeignUse ForeignProcesses(const std::vector<NvmlProcess>& processes,
                            const std::optional<std::vector<NvmlProcessUse>>& uses, int own_pid,
                            const std::string& root) {
  const bool has_uses = uses && IsOneNamespace(processes, *uses);
  ForeignUse foreign;
  size_t hidden_working = 0;
  size_t hidden_idle = 0;
  bool is_own_listed = false;
  for (const NvmlProcess& process : processes) {
    const std::string folder = root + "/proc/" + std::to_string(process.pid);
    const std::optional<int> parent = ParentOf(folder);
    const bool is_working = !has_uses || IsWorking(process, *uses);
    if (static_cast<int>(process.pid) == own_pid) {
      is_own_listed = true;
    } else if (!parent) {
      ++(is_working ? hidden_working : hidden_idle);
    } else if (*parent != own_pid) {
      (is_working ? foreign.working : foreign.idle)
          .push_back(Line(process, ReadFirstLine(folder + "/comm").value_or("?")));
    }
  }
  // One of them is ourselves, and the likeliest is one that works.
  if (!is_own_listed && hidden_working + hidden_idle > 0) {
    --(hidden_working > 0 ? hidden_working : hidden_idle);
  }
  AddHidden(hidden_working, foreign.working);
  AddHidden(hidden_idle, foreign.idle);
  return foreign;
}

}  // namespace qtipd
