#include "server/engine/jobs/obtain_ceiling.h"

#include <string>
#include <utility>

#include "kernels/api/error.h"
#include "server/base/log_text.h"
#include "server/engine/harness/conditions_watch.h"
#include "server/engine/jobs/run_errors.h"
#include "spdlog/spdlog.h"

namespace qtipd {
namespace {

// What in `reading` takes the device away from a measurement; empty: nothing.
std::string Disturbance(const DeviceReading& reading) {
  for (const std::string& event : reading.clock_events) {
    if (IsSlowdown(event)) return event;
  }
  return reading.foreign_work.empty() ? "" : reading.foreign_work.front();
}

DeviceCeiling WithoutFigures(const DeviceInfo& device, const absl::Status& error) {
  spdlog::warn("ceiling_failed device={} {}", device.id, LogStatus(error));
  DeviceCeiling ceiling;
  ceiling.problem = "not measured: " + ErrorText(error);
  return ceiling;
}

}  // namespace

absl::StatusOr<std::optional<DeviceCeiling>> ObtainCeiling(DeviceLease& lease,
                                                           CeilingStore& ceilings,
                                                           const Progress& progress) {
  const DeviceInfo& device = lease.device.info();
  if (auto known = ceilings.Find(device)) return known;
  std::string disturbance = Disturbance(lease.monitor.Read(Freshness::kBegin));
  absl::StatusOr<DeviceCeiling> measured =
      lease.device.MeasureCeiling([&] { return progress.IsCancelled(); });
  if (IsEndOfRun(measured.status())) return measured.status();
  if (!measured.ok()) return WithoutFigures(device, measured.status());
  if (disturbance.empty()) disturbance = Disturbance(lease.monitor.Read(Freshness::kNow));
  if (!disturbance.empty()) measured->problem = "disturbed: " + disturbance;
  if (!measured->problem.empty()) {
    spdlog::warn("ceiling_not_kept device={} reason={}", device.id, LogText(measured->problem));
    return *std::move(measured);
  }
  spdlog::info("ceiling_measured device={} clock_hertz={:.0f}", device.id, measured->clock_hertz);
  if (const absl::Status saved = ceilings.Save(device, *measured); !saved.ok()) {
    spdlog::warn("ceiling_not_saved device={} {}", device.id, LogStatus(saved));
  }
  return *std::move(measured);
}

}  // namespace qtipd
