#include "server/engine/harness/energy.h"

#include "kernels/api/status.h"

namespace qtipd {
namespace {

// Between two looks at the counter: it ticks every 20 to 100 ms on a GPU, and a look takes time
// from the replays.
constexpr double kLookSeconds = 0.005;

// A tick of the counter, and what had run by then.
struct Tick {
  double seconds = 0;
  double joules = 0;
  int64_t runs = 0;
};

}  // namespace

absl::StatusOr<std::optional<EnergyUse>> MeasureEnergy(Sampler& sampler, DeviceMonitor& monitor,
                                                       Clock& clock,
                                                       const std::function<bool()>& is_cancelled) {
  std::optional<double> joules = monitor.Read().energy_joules;
  if (!joules) return std::optional<EnergyUse>();
  const double start = clock.MonotonicSeconds();
  double looked = start;
  double busy = 0;  // seconds of the device: no more than those of a clock that moves
  int64_t runs = 0;
  std::optional<Tick> first;
  while (!is_cancelled() && busy < kMostEnergySeconds) {
    QTIPD_ASSIGN_OR_RETURN(const ReplayTiming timing, sampler.Sample());
    runs += sampler.runs_per_sample();
    busy += timing.seconds * static_cast<double>(sampler.runs_per_sample());
    const double now = clock.MonotonicSeconds();
    if (now - start >= kMostEnergySeconds) break;
    if (now - looked < kLookSeconds) continue;
    looked = now;
    const std::optional<double> reading = monitor.Read().energy_joules;
    if (!reading || *reading == *joules) continue;
    joules = reading;
    if (!first) {
      first = Tick{now, *joules, runs};
    } else if (now - first->seconds >= kEnergySeconds) {
      const double used = *joules - first->joules;
      return EnergyUse{.joules_per_run = used / static_cast<double>(runs - first->runs),
                       .watts = used / (now - first->seconds)};
    }
  }
  return std::optional<EnergyUse>();
}

}  // namespace qtipd
