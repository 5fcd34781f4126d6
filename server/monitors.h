// Which monitor each device of a daemon gets.
#ifndef QTIPD_SERVER_MONITORS_H_
#define QTIPD_SERVER_MONITORS_H_

#include <memory>
#include <string>

#include "server/base/clock.h"
#include "server/telemetry/device_monitor.h"
#include "server/telemetry/nvml_api.h"

namespace qtipd {

// NVML where it is wanted: for a GPU that is served, or for clocks that a killed daemon left locked
// (markers in `data_dir`). Null, and a line in the log, where it cannot be opened.
std::shared_ptr<Nvml> OpenNvmlIfWanted(bool has_gpu, const std::string& data_dir);

// The CPU's monitor for "cpu"; NVML's for "cuda", or where `nvml` is null or does not know the
// device a silent one, with a line in the log. `clock` outlives the monitors.
MonitorFactory MakeMonitorFactory(std::shared_ptr<Nvml> nvml, const std::string& data_dir,
                                  Clock& clock);

// Undoes what a killed daemon left locked, with a line in the log for each device. Call it with the
// data directory locked and before any job runs. `nvml` may be null.
void UndoLeftClockLocks(Nvml* nvml, const std::string& data_dir);

}  // namespace qtipd

#endif  // QTIPD_SERVER_MONITORS_H_
