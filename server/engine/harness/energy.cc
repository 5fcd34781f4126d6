#include "server/engine/harness/energy.h"

#include <algorithm>
#include <cmath>

#include "kernels/api/status.h"

namespace qtipd {
namespace {

// The window's last tick is looked for from so much of a period before it is due.
constexpr double kEarly = 0.25;

// Power that is polled is an average of the last tens of milliseconds.
constexpr double kPowerSettleSeconds = 0.1;

// Replays on and on, and counts.
class Load {
 public:
  Load(Sampler& sampler, Clock& clock, const std::function<bool()>& is_cancelled)
      : sampler_(sampler),
        clock_(clock),
        is_cancelled_(is_cancelled),
        start_(clock.MonotonicSeconds()) {}

  // False once the time is over, of the clock or, where that stands, of the device.
  absl::StatusOr<bool> Replay() {
    if (is_cancelled_() || std::max(busy_, Elapsed()) >= kMostEnergySeconds) return false;
    QTIPD_ASSIGN_OR_RETURN(const ReplayTiming timing, sampler_.Sample());
    runs_ += static_cast<double>(sampler_.runs_per_sample());
    busy_ += timing.seconds * static_cast<double>(sampler_.runs_per_sample());
    return true;
  }
  double Elapsed() const { return clock_.MonotonicSeconds() - start_; }
  double busy() const { return busy_; }  // seconds of the device
  double runs() const { return runs_; }

 private:
  Sampler& sampler_;
  Clock& clock_;
  const std::function<bool()>& is_cancelled_;
  const double start_;
  double busy_ = 0;
  double runs_ = 0;
};

// A tick of the counter, and what had run by then.
struct Tick {
  EnergyReading energy;
  double busy = 0;
  double runs = 0;
};

// Replays until the counter has left `last`. Nothing where the time is over before.
absl::StatusOr<std::optional<Tick>> NextTick(Load& load, DeviceMonitor& monitor,
                                             EnergyReading last) {
  while (true) {
    QTIPD_ASSIGN_OR_RETURN(const bool has_run, load.Replay());
    if (!has_run) return std::optional<Tick>();
    const std::optional<EnergyReading> reading = monitor.ReadEnergy();
    if (!reading) return std::optional<Tick>();
    if (reading->joules != last.joules) return Tick{*reading, load.busy(), load.runs()};
  }
}

// The first tick at least kEnergySeconds after `first`, where one comes every `period`.
absl::StatusOr<std::optional<Tick>> LastTick(Load& load, DeviceMonitor& monitor, Clock& clock,
                                             const Tick& first, double period) {
  const double ticks = std::ceil(kEnergySeconds / period);
  const double due = first.energy.seconds + (ticks - kEarly) * period;
  while (clock.MonotonicSeconds() < due) {
    QTIPD_ASSIGN_OR_RETURN(const bool has_run, load.Replay());
    if (!has_run) return std::optional<Tick>();
  }
  const std::optional<EnergyReading> before = monitor.ReadEnergy();
  if (!before) return std::optional<Tick>();
  return NextTick(load, monitor, *before);
}

absl::StatusOr<std::optional<EnergyUse>> CountEnergy(Load& load, DeviceMonitor& monitor,
                                                     Clock& clock, EnergyReading start) {
  QTIPD_ASSIGN_OR_RETURN(const auto found, NextTick(load, monitor, start));
  if (!found) return std::optional<EnergyUse>();
  QTIPD_ASSIGN_OR_RETURN(const auto first, NextTick(load, monitor, found->energy));
  if (!first) return std::optional<EnergyUse>();
  const double period = first->energy.seconds - found->energy.seconds;
  if (period <= 0) return std::optional<EnergyUse>();
  QTIPD_ASSIGN_OR_RETURN(const auto last, LastTick(load, monitor, clock, *first, period));
  if (!last) return std::optional<EnergyUse>();
  const double watts =
      (last->energy.joules - first->energy.joules) / (last->energy.seconds - first->energy.seconds);
  const double run_seconds = (last->busy - first->busy) / (last->runs - first->runs);
  return EnergyUse{.joules_per_run = watts * run_seconds, .watts = watts};
}

absl::StatusOr<std::optional<EnergyUse>> PollPower(Load& load, DeviceMonitor& monitor) {
  double sum = 0;
  int64_t count = 0;
  while (load.Elapsed() < kPowerSettleSeconds + kEnergySeconds) {
    QTIPD_ASSIGN_OR_RETURN(const bool has_run, load.Replay());
    if (!has_run) break;
    if (load.Elapsed() < kPowerSettleSeconds) continue;
    const std::optional<double> watts = monitor.Read(Freshness::kGrid).power_watts;
    if (!watts) continue;
    sum += *watts;
    ++count;
  }
  if (count == 0) return std::optional<EnergyUse>();
  const double watts = sum / static_cast<double>(count);
  return EnergyUse{.joules_per_run = watts * load.busy() / load.runs(), .watts = watts};
}

}  // namespace

absl::StatusOr<std::optional<EnergyUse>> MeasureEnergy(Sampler& sampler, DeviceMonitor& monitor,
                                                       Clock& clock,
                                                       const std::function<bool()>& is_cancelled) {
  if (is_cancelled()) return std::optional<EnergyUse>();
  const std::optional<EnergyReading> start = monitor.ReadEnergy();
  if (!start && !monitor.Read(Freshness::kGrid).power_watts) return std::optional<EnergyUse>();
  Load load(sampler, clock, is_cancelled);
  return start ? CountEnergy(load, monitor, clock, *start) : PollPower(load, monitor);
}

}  // namespace qtipd
