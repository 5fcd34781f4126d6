// Who else uses a GPU, from the driver's list of processes.
#ifndef QTIPD_SERVER_TELEMETRY_FOREIGN_PROCESSES_H_
#define QTIPD_SERVER_TELEMETRY_FOREIGN_PROCESSES_H_

#include <string>
#include <vector>

#include "server/telemetry/nvml_api.h"

namespace qtipd {

// One line for each process that is neither `own_pid` nor a child of it: "pid 1234 python3 512
// MiB".
//
// In a container the driver may list processes that /proc does not show, our own among them under
// its number outside. We hold a context on the device, so one of those that are not shown is
// ourselves; the others are told as "2 processes that this container does not show".
// `root` stands for "/".
std::vector<std::string> ForeignProcesses(const std::vector<NvmlProcess>& processes, int own_pid,
                                          const std::string& root = "");

}  // namespace qtipd

#endif  // QTIPD_SERVER_TELEMETRY_FOREIGN_PROCESSES_H_
