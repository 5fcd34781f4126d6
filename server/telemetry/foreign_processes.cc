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

}  // namespace

std::vector<std::string> ForeignProcesses(const std::vector<NvmlProcess>& processes, int own_pid,
                                          const std::string& root) {
  std::vector<std::string> lines;
  size_t hidden = 0;
  bool is_own_listed = false;
  for (const NvmlProcess& process : processes) {
    const std::string folder = root + "/proc/" + std::to_string(process.pid);
    const std::optional<int> parent = ParentOf(folder);
    if (static_cast<int>(process.pid) == own_pid) {
      is_own_listed = true;
    } else if (!parent) {
      ++hidden;
    } else if (*parent != own_pid) {
      lines.push_back(Line(process, ReadFirstLine(folder + "/comm").value_or("?")));
    }
  }
  if (!is_own_listed && hidden > 0) --hidden;
  if (hidden > 0) {
    lines.push_back(std::to_string(hidden) + (hidden == 1 ? " process" : " processes") +
                    " that this container does not show");
  }
  return lines;
}

}  // namespace qtipd
