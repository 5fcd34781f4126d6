// What the device is like while it is measured, and which samples that spoils.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_CONDITIONS_WATCH_H_
#define QTIPD_SERVER_ENGINE_HARNESS_CONDITIONS_WATCH_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/api/device.h"
#include "server/base/clock.h"
#include "server/engine/types.h"
#include "server/telemetry/device_monitor.h"

namespace qtipd {

// A sample is throttled if the device's clock was below this share of the reference meanwhile, or
// if the device reported a slowdown by heat, power brake or hardware at the last look. nvbench's
// threshold, https://github.com/NVIDIA/nvbench (--throttle-threshold).
inline constexpr double kThrottledClock = 0.75;

// Below this share of the reference the clock has drifted; more than one sample in twenty is told.
inline constexpr double kDriftedClock = 0.97;

// Throttled samples that a measurement takes again; after that they are kept.
inline constexpr int64_t kMostRetakes = 20;

// Before a throttled sample is taken again the device gets time to recover, and more at every time:
// from the first to the most, in seconds, and all together. nvbench waits likewise
// (--throttle-recovery-delay).
inline constexpr double kFirstRecoverySeconds = 0.01;
inline constexpr double kMostRecoverySeconds = 0.05;
inline constexpr double kAllRecoverySeconds = 0.5;

// Below this share of the device's default clock it is slow, however steady.
inline constexpr double kLowClock = 0.75;

// How often the monitor is read, in seconds: a look costs the device more than a sample may.
inline constexpr double kPollSeconds = 0.05;

// The lines of other programs' work that are kept.
inline constexpr size_t kMostForeignWork = 32;

// Whether a DeviceReading::clock_events entry takes the clock away from a kernel. A power cap and a
// sync boost do not: they are how the device works under load.
bool IsSlowdown(std::string_view event);

// Lives on the device's thread; the monitor and clock outlive it.
class ConditionsWatch {
 public:
  ConditionsWatch(DeviceMonitor& monitor, Clock& clock) : monitor_(monitor), clock_(clock) {}

  // The clock to judge samples by, in hertz; 0 where it is not known, and none is judged by it.
  void SetReference(double hertz) { reference_hertz_ = hertz; }

  // The clock that the device has by default under load, in hertz; 0 where it is not known.
  void SetDefaultClock(double hertz) { default_hertz_ = hertz; }

  // Reads the monitor before the first and after the last sample, all of it anew.
  void Begin();
  void End() { Poll(clock_.MonotonicSeconds(), Freshness::kNow); }

  enum class Verdict { kKeep, kTakeAgain };
  // Judges the sample that ended at `now` (the clock's monotonic seconds); reads the monitor where
  // kPollSeconds have passed. Before kTakeAgain it waits for the device to recover and reads the
  // monitor.
  Verdict Judge(const ReplayTiming& timing, double now);

  // Seconds that it has waited for the device to recover; of the limits of a measurement they use
  // up nothing.
  double waited_seconds() const { return waited_; }

  // Kept throttled samples are more than half of the kept ones.
  bool IsMostlyThrottled() const { return 2 * throttled_ > kept_; }
  // What was seen. `sample_clock_hertz` are those of the kept samples, 0 where not known; where
  // none is, the monitor's own readings count.
  Conditions Summary(std::span<const double> sample_clock_hertz) const;
  // "THROTTLED", "CLOCK_DRIFT", "CLOCK_LOW", "FOREIGN_WORK", "ECC_ERRORS", as they apply.
  std::vector<std::string> Warnings() const;

 private:
  void Poll(double now, Freshness freshness);
  void Recover();

  DeviceMonitor& monitor_;
  Clock& clock_;
  double reference_hertz_ = 0;
  double default_hertz_ = 0;
  double last_poll_ = 0;
  bool is_slowed_down_ = false;  // at the last look
  bool was_slowed_down_ = false;
  int64_t kept_ = 0;
  int64_t throttled_ = 0;  // kept ones
  int64_t drifted_ = 0;    // kept ones
  int64_t low_ = 0;        // kept ones
  int64_t retaken_ = 0;
  double next_recovery_ = kFirstRecoverySeconds;
  double waited_ = 0;
  std::optional<DeviceReading> first_;
  DeviceReading last_;
  std::vector<double> polled_clocks_;
  std::set<std::string> clock_events_;
  std::map<std::string, std::string> foreign_work_;  // by kind
  std::map<std::string, std::string> idle_processes_;
};

// The median of the later half of what a warm-up saw, in which clocks have risen; 0 of nothing.
double ReferenceClock(std::span<const double> warm_up_clock_hertz);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_CONDITIONS_WATCH_H_
