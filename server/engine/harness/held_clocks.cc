#include "server/engine/harness/held_clocks.h"

#include "kernels/api/status.h"
#include "server/base/log_text.h"
#include "spdlog/spdlog.h"

namespace qtipd {

absl::StatusOr<std::unique_ptr<HeldClocks>> HeldClocks::Acquire(DeviceMonitor& monitor) {
  QTIPD_RETURN_IF_ERROR(monitor.LockClocks());
  return std::unique_ptr<HeldClocks>(new HeldClocks(monitor));
}

HeldClocks::~HeldClocks() {
  const absl::Status status = monitor_.UnlockClocks();
  if (!status.ok()) spdlog::error("clock_unlock_failed {}", LogStatus(status));
}

}  // namespace qtipd
