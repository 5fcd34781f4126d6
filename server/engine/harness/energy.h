// What a run costs in joules.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_ENERGY_H_
#define QTIPD_SERVER_ENGINE_HARNESS_ENERGY_H_

#include <functional>
#include <optional>

#include "absl/status/statusor.h"
#include "server/base/clock.h"
#include "server/engine/harness/sampling.h"
#include "server/telemetry/device_monitor.h"

namespace qtipd {

struct EnergyUse {
  double joules_per_run = 0;
  double watts = 0;  // mean, of the whole device
};

// The least and the most that the measurement takes, in seconds of the clock.
inline constexpr double kEnergySeconds = 0.3;
inline constexpr double kMostEnergySeconds = 0.6;

// Replays without a gap from one tick of the device's energy counter to another at least
// kEnergySeconds later. Nothing where the device counts no energy, where the counter did not tick
// within kMostEnergySeconds, or once cancelled. Errors: the device's own.
absl::StatusOr<std::optional<EnergyUse>> MeasureEnergy(Sampler& sampler, DeviceMonitor& monitor,
                                                       Clock& clock,
                                                       const std::function<bool()>& is_cancelled);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_ENERGY_H_
