// Who else uses a GPU, from the driver's list of processes.
#ifndef QTIPD_SERVER_TELEMETRY_FOREIGN_PROCESSES_H_
#define QTIPD_SERVER_TELEMETRY_FOREIGN_PROCESSES_H_

#include <optional>
#include <string>
#include <vector>

#include "server/telemetry/nvml_api.h"

namespace qtipd {

// One line each: "pid 1234 python3 512 MiB".
struct ForeignUse {
  std::vector<std::string> working;
  std::vector<std::string> idle;  // hold a context and memory: a display server at rest
};

// Everybody of `processes` who is neither `own_pid` nor a child of it. `uses` tells who of them ran
// something; where it is absent, or names only such as `processes` does not (a driver that numbers
// the two lists in different PID namespaces), whoever is there counts as working.
//
// In a container the driver may list processes that /proc does not show, our own among them under
// its number outside. We hold a context on the device, so one of those that are not shown is
// ourselves; the others are told as "2 processes that this container does not show".
// `root` stands for "/".
ForeignUse ForeignProcesses(const std::vector<NvmlProcess>& processes,
                            const std::optional<std::vector<NvmlProcessUse>>& uses, int own_pid,
                            const std::string& root = "");

}  // namespace qtipd

#endif  // QTIPD_SERVER_TELEMETRY_FOREIGN_PROCESSES_H_
