#include "server/monitors.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/base/log_text.h"
#include "server/engine/store/data_directory.h"
#include "server/telemetry/clock_lock.h"
#include "server/telemetry/cpu_monitor.h"
#include "server/telemetry/nvml_monitor.h"

namespace qtipd {

std::shared_ptr<Nvml> OpenNvmlIfWanted(bool has_gpu, const std::string& data_dir) {
  return has_gpu || !DevicesLeftLocked(data_dir).empty() ? OpenAnyNvml() : nullptr;
}

std::shared_ptr<Nvml> OpenAnyNvml() {
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

void UndoLeftClockLocks(Nvml* nvml, const std::string& data_dir, UndoneMarker marker) {
  if (nvml == nullptr) {
    for (const std::string& uuid : DevicesLeftLocked(data_dir)) {
      spdlog::warn("clocks_left_locked device={}", uuid);
    }
    return;
  }
  for (const RestoredClocks& restored : RestoreLockedClocks(*nvml, data_dir, marker)) {
    if (restored.status.ok()) {
      spdlog::info("clocks_restored device={}", restored.uuid);
    } else {
      spdlog::warn("clocks_left_locked device={} {}", restored.uuid, LogStatus(restored.status));
    }
  }
}

bool UndoLeftClockLocksWithin(double seconds, std::function<std::shared_ptr<Nvml>()> open,
                              const std::string& data_dir) {
  if (DevicesLeftLocked(data_dir).empty()) return true;
  auto done = std::make_shared<std::promise<void>>();
  std::future<void> ended = done->get_future();
  std::thread([done, open = std::move(open), data_dir] {
    UndoLeftClockLocks(open().get(), data_dir, UndoneMarker::kKeep);
    done->set_value();
  }).detach();
  return ended.wait_for(std::chrono::duration<double>(seconds)) == std::future_status::ready;
}

absl::Status ReleaseLeftClocks(const std::function<std::shared_ptr<Nvml>()>& open,
                               const std::string& data_dir) {
  if (DevicesLeftLocked(data_dir).empty()) return absl::OkStatus();
  QTIPD_ASSIGN_OR_RETURN(const FileLock lock, LockDataDirectory(data_dir));
  UndoLeftClockLocks(open().get(), data_dir);
  const std::vector<std::string> left = DevicesLeftLocked(data_dir);
  if (left.empty()) return absl::OkStatus();
  return MakeError(absl::StatusCode::kFailedPrecondition, "CLOCKS_LEFT_LOCKED",
                   "clocks of " + left[0] + " are still locked; sudo nvidia-smi -i " + left[0] +
                       " --reset-gpu-clocks",
                   {{"device", left[0]}});
}

}  // namespace qtipd
