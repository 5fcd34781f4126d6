#include <memory>
#include <utility>

#include "kernels/api/status.h"
#include "server/base/log_text.h"
#include "server/engine/device/device_selection.h"
#include "server/engine/engine_impl.h"
#include "spdlog/spdlog.h"

namespace qtipd {

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(
    EngineConfig config, std::unique_ptr<Registry> registry,
    std::vector<std::unique_ptr<Backend>> backends, std::vector<BackendStatus> backend_status,
    MetricsSink& metrics, Clock& clock) {
  // The directory first: a second daemon must not even touch the devices of the first.
  QTIPD_ASSIGN_OR_RETURN(DataDirectory directory, OpenDataDirectory(config.data_dir));
  if (config.on_directory_locked) config.on_directory_locked();
  QTIPD_ASSIGN_OR_RETURN(auto history, OpenSqliteHistory(directory.history));
  QTIPD_ASSIGN_OR_RETURN(const std::vector<DeviceChoice> choices,
                         SelectDevices(config.device_selection, backends, backend_status));
  for (const BackendStatus& status : backend_status) {
    if (status.is_available) continue;
    spdlog::info("backend_unavailable backend={} reason={}", status.id, LogText(status.reason));
  }
  auto engine = std::make_unique<EngineImpl>(EngineImpl::Parts{
      std::move(config), std::move(registry), std::move(backends), std::move(backend_status),
      std::move(directory), std::move(history), &metrics, &clock});
  QTIPD_RETURN_IF_ERROR(engine->Start(choices));
  return engine;
}

}  // namespace qtipd
