#include "kernels/api/error.h"
#include "server/telemetry/device_monitor.h"

namespace qtipd {
namespace {

class SilentMonitor final : public DeviceMonitor {
 public:
  DeviceReading Read(Freshness) override { return {}; }
  std::optional<EnergyReading> ReadEnergy() override { return std::nullopt; }
  std::map<std::string, std::string> Facts() override { return {}; }
  absl::Status LockClocks() override {
    return MakeError(absl::StatusCode::kUnimplemented, "CLOCK_LOCK_UNSUPPORTED",
                     "this device has no clocks that can be locked");
  }
  absl::Status UnlockClocks() override { return absl::OkStatus(); }
};

}  // namespace

std::unique_ptr<DeviceMonitor> MakeSilentMonitor() { return std::make_unique<SilentMonitor>(); }

}  // namespace qtipd
