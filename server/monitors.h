// Which monitor each device of a daemon gets.
#ifndef QTIPD_SERVER_MONITORS_H_
#define QTIPD_SERVER_MONITORS_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/base/clock.h"
#include "server/telemetry/clock_lock.h"
#include "server/telemetry/device_monitor.h"
#include "server/telemetry/nvml_api.h"

namespace qtipd {

// NVML where it is wanted: for a GPU that is served, or for clocks that a killed daemon left locked
// (markers in `data_dir`). Null, and a line in the log, where it cannot be opened.
std::shared_ptr<Nvml> OpenNvmlIfWanted(bool has_gpu, const std::string& data_dir);

// NVML, or null and a line in the log.
std::shared_ptr<Nvml> OpenAnyNvml();

// The CPU's monitor for "cpu"; NVML's for "cuda", or where `nvml` is null or does not know the
// device a silent one, with a line in the log. `clock` outlives the monitors.
MonitorFactory MakeMonitorFactory(std::shared_ptr<Nvml> nvml, const std::string& data_dir,
                                  Clock& clock);

// Undoes what a killed daemon left locked, with a line in the log for each device. Call it with the
// data directory locked and before any job runs. `nvml` may be null.
void UndoLeftClockLocks(Nvml* nvml, const std::string& data_dir,
                        UndoneMarker marker = UndoneMarker::kRemove);

// The same for a process that is about to end by force, while its threads may still hold the
// clocks. Does it on a thread of its own, over what `open` returns, and waits for that one at most
// `seconds`: a driver that hangs does not keep the process. Asks `open` only where something is
// locked. The markers stay: a thread that was about to lock may do so after this, and the next
// start undoes it. False where the time was not enough.
bool UndoLeftClockLocksWithin(double seconds, std::function<std::shared_ptr<Nvml>()> open,
                              const std::string& data_dir);

// For `qtipd --release-clocks`, after a daemon that could not do it itself. Errors:
// FailedPrecondition/DATA_DIR_IN_USE where a daemon runs, CLOCKS_LEFT_LOCKED.
absl::Status ReleaseLeftClocks(const std::function<std::shared_ptr<Nvml>()>& open,
                               const std::string& data_dir);

}  // namespace qtipd

#endif  // QTIPD_SERVER_MONITORS_H_
