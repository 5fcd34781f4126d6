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
  // The mean power times what a run took on the device in the same window: what the device used
  // between two replays is charged to no run.
  double joules_per_run = 0;
  double watts = 0;  // mean, of the whole device
};

// The least and the most that the measurement takes, in seconds of the clock.
inline constexpr double kEnergySeconds = 0.3;
inline constexpr double kMostEnergySeconds = 0.6;

// How long a replay of `sampler` should take at least: the host needs some 20 us between two, in
// which the device uses less.
inline constexpr double kEnergyReplaySeconds = 0.005;

// Replays without a gap from one tick of the device's energy counter to another about
// kEnergySeconds later. How often the counter ticks (every 20 to 100 ms on a GPU) is found first,
// so that within the window it is read only where a tick is due: a look costs milliseconds in which
// the device idles. Where the device has no such counter, but tells its power, the mean over
// kEnergySeconds of what it tells after every replay. Nothing where it tells neither, where the
// counter did not tick within kMostEnergySeconds, or once cancelled. Errors: the device's own.
absl::StatusOr<std::optional<EnergyUse>> MeasureEnergy(Sampler& sampler, DeviceMonitor& monitor,
                                                       Clock& clock,
                                                       const std::function<bool()>& is_cancelled);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_ENERGY_H_
