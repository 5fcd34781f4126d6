#include "server/monitors.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <utility>

#include "server/base/log_text.h"
#include "server/telemetry/clock_lock.h"
#include "server/telemetry/cpu_monitor.h"
#include "server/telemetry/nvml_monitor.h"

namespace qtipd {

std::shared_ptr<Nvml> OpenNvmlIfWanted(bool has_gpu, const std::string& data_dir) {
  if (!has_gpu && DevicesLeftLocked(data_dir).empty()) return nullptr;
  absl::StatusOr<std::shared_ptr<Nvml>> nvml = OpenNvml();
  if (nvml.ok()) return *std::move(nvml);
  spdlog::warn("telemetry_unavailable {}", LogStatus(nvml.status()));
  return nullptr;
}

MonitorFactory MakeMonitorFactory(std::shared_ptr<Nvml> nvml, const std::string& data_dir,
                                  Clock& clock) {
  return [nvml = std::move(nvml), data_dir, &clock](const DeviceInfo& info) {
    if (info.backend == "cpu") return MakeCpuMonitor(clock);
    if (info.backend == "cuda" && nvml != nullptr) {
      auto monitor =
          MakeNvmlMonitor(nvml, info, clock, {.marker_directory = data_dir, .own_pid = getpid()});
      if (monitor.ok()) return *std::move(monitor);
      spdlog::warn("telemetry_unavailable device={} {}", info.id, LogStatus(monitor.status()));
    }
    return MakeSilentMonitor();
  };
}

void UndoLeftClockLocks(Nvml* nvml, const std::string& data_dir) {
  if (nvml == nullptr) {
    for (const std::string& uuid : DevicesLeftLocked(data_dir)) {
      spdlog::warn("clocks_left_locked device={}", uuid);
    }
    return;
  }
  for (const RestoredClocks& restored : RestoreLockedClocks(*nvml, data_dir)) {
    if (restored.status.ok()) {
      spdlog::info("clocks_restored device={}", restored.uuid);
    } else {
      spdlog::warn("clocks_left_locked device={} {}", restored.uuid, LogStatus(restored.status));
    }
  }
}

}  // namespace qtipd
