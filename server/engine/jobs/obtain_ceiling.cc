#include "server/engine/jobs/obtain_ceiling.h"

#include "kernels/api/error.h"
#include "server/base/log_text.h"
#include "spdlog/spdlog.h"

namespace qtipd {

absl::StatusOr<std::optional<DeviceCeiling>> ObtainCeiling(DeviceLease& lease,
                                                           CeilingStore& ceilings,
                                                           const Progress& progress) {
  const DeviceInfo& device = lease.device.info();
  if (auto known = ceilings.Find(device)) return known;
  const absl::StatusOr<DeviceCeiling> measured =
      lease.device.MeasureCeiling([&] { return progress.IsCancelled(); });
  if (absl::IsCancelled(measured.status()) ||
      GetErrorInfo(measured.status()).reason == "DEVICE_LOST") {
    return measured.status();
  }
  if (!measured.ok()) {
    spdlog::warn("ceiling_failed device={} {}", device.id, LogStatus(measured.status()));
    return std::nullopt;
  }
  spdlog::info("ceiling_measured device={} clock_hertz={:.0f}", device.id, measured->clock_hertz);
  if (const absl::Status saved = ceilings.Save(device, *measured); !saved.ok()) {
    spdlog::warn("ceiling_not_saved device={} {}", device.id, LogStatus(saved));
  }
  return *measured;
}

}  // namespace qtipd
