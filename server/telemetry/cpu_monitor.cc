#include "server/telemetry/cpu_monitor.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <mutex>
#include <utility>

#include "kernels/api/error.h"
#include "server/base/text_file.h"
#include "server/telemetry/cpu_counters.h"
#include "server/telemetry/cpu_sensors.h"
#include "server/telemetry/time_grid.h"

namespace qtipd {
namespace {

constexpr double kSensorPeriodSeconds = 0.1;  // files of every CPU: milliseconds on large machines
constexpr double kWorkWindowSeconds = 0.5;
constexpr double kWorkMemorySeconds = 1;
// By so many steps of the kernel's counters must a shorter window exceed the limits: each of its
// sums is off by a step or two.
constexpr double kShortWindowTicks = 3;
constexpr double kForeignShare = 0.02;  // of the machine's CPU time
constexpr double kForeignCpus = 0.1;
constexpr double kStealShare = 0.01;

std::string Text(const char* format, double value, int count) {
  char text[96];
  std::snprintf(text, sizeof(text), format, value, count);
  return text;
}

// What somebody else did between two looks.
std::vector<std::string> Judge(const CpuCounters& before, const CpuCounters& now, double seconds) {
  if (seconds <= 0) return {};
  static const double tick = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  const double slack = seconds < kWorkWindowSeconds ? kShortWindowTicks * tick : 0;
  std::vector<std::string> lines;
  const double others =
      (now.busy_seconds - before.busy_seconds) - (now.own_seconds - before.own_seconds);
  const double cpus = others / seconds;
  if (others > seconds * std::max(kForeignCpus, kForeignShare * now.cpus) + slack) {
    lines.push_back(Text("other processes: %.2f of %d CPUs", cpus, now.cpus));
  }
  const double total = now.total_seconds - before.total_seconds;
  const double steal = now.steal_seconds - before.steal_seconds;
  if (total > 0 && steal > kStealShare * total + slack) {
    lines.push_back(
        Text("hypervisor: %.1f %% of the time of %d CPUs", 100 * steal / total, now.cpus));
  }
  return lines;
}

class CpuMonitor final : public DeviceMonitor {
 public:
  CpuMonitor(Clock& clock, std::string root)
      : clock_(clock), root_(std::move(root)), packages_(FindPackageEnergy(root_)) {
    last_microjoules_.resize(packages_.size());
    for (size_t i = 0; i < packages_.size(); ++i) {
      last_microjoules_[i] = ReadNumber(packages_[i].path).value_or(0);
    }
    last_throttles_ = ReadCpuThrottleCount(root_).value_or(0);
    last_counters_ = ReadCpuCounters(root_);
    last_look_ = clock_.MonotonicSeconds();
  }

  DeviceReading Read(Freshness freshness) override {
    std::lock_guard lock(mutex_);
    if (freshness == Freshness::kLast) return last_;
    const double now = clock_.MonotonicSeconds();
    if (freshness == Freshness::kBegin) ForgetWhatWas(now);
    if (freshness != Freshness::kGrid) sensors_.Forget();
    DeviceReading reading = sensors_.Get(now, [this] { return ReadSensors(); });
    reading.foreign_work = ForeignWork(now, freshness);
    return last_ = reading;
  }

  std::optional<EnergyReading> ReadEnergy() override {
    std::lock_guard lock(mutex_);
    if (packages_.empty()) return std::nullopt;
    const double joules = Joules();
    return EnergyReading{joules, clock_.MonotonicSeconds()};
  }

  std::map<std::string, std::string> Facts() override { return ReadCpuFacts(root_); }

  absl::Status LockClocks() override {
    return MakeError(absl::StatusCode::kUnimplemented, "CLOCK_LOCK_UNSUPPORTED",
                     "clocks of cpu: qtipd does not hold them; the performance governor does: "
                     "sudo cpupower frequency-set -g performance",
                     {{"device", "cpu"}});
  }
  absl::Status UnlockClocks() override { return absl::OkStatus(); }

 private:
  DeviceReading ReadSensors() {
    DeviceReading reading;
    reading.clock_hertz = ReadCpuClockHertz(root_);
    reading.temperature_celsius = ReadCpuTemperatureCelsius(root_);
    const uint64_t throttles = ReadCpuThrottleCount(root_).value_or(0);
    if (throttles > last_throttles_) reading.clock_events.push_back("HW_THERMAL_SLOWDOWN");
    last_throttles_ = throttles;
    return reading;
  }

  double Joules() {
    for (size_t i = 0; i < packages_.size(); ++i) {
      const int64_t now = ReadNumber(packages_[i].path).value_or(last_microjoules_[i]);
      const int64_t wrapped = now < last_microjoules_[i] ? packages_[i].range_microjoules : 0;
      joules_ += static_cast<double>(now - last_microjoules_[i] + wrapped) * 1e-6;
      last_microjoules_[i] = now;
    }
    return joules_;
  }

  // Both are told by comparing with an earlier look, which may be hours ago.
  void ForgetWhatWas(double now) {
    last_throttles_ = ReadCpuThrottleCount(root_).value_or(0);
    last_counters_ = ReadCpuCounters(root_);
    last_look_ = now;
    work_.clear();
  }

  std::vector<std::string> ForeignWork(double now, Freshness freshness) {
    const bool is_due = now - last_look_ >= kWorkWindowSeconds || freshness == Freshness::kNow;
    if (is_due) {
      const auto counters = ReadCpuCounters(root_);
      std::vector<std::string> work;
      if (counters && last_counters_) work = Judge(*last_counters_, *counters, now - last_look_);
      last_counters_ = counters;
      last_look_ = now;
      if (!work.empty()) {
        work_ = std::move(work);
        work_until_ = now + kWorkMemorySeconds;
      }
    }
    return now <= work_until_ ? work_ : std::vector<std::string>();
  }

  Clock& clock_;
  const std::string root_;
  const std::vector<EnergyCounter> packages_;
  std::mutex mutex_;
  // All guarded by mutex_.
  TimeGrid<DeviceReading> sensors_{kSensorPeriodSeconds};
  std::vector<int64_t> last_microjoules_;
  double joules_ = 0;
  uint64_t last_throttles_ = 0;
  std::optional<CpuCounters> last_counters_;
  double last_look_ = 0;
  std::vector<std::string> work_;
  double work_until_ = -std::numeric_limits<double>::infinity();
  DeviceReading last_;
};

}  // namespace

std::unique_ptr<DeviceMonitor> MakeCpuMonitor(Clock& clock, std::string root) {
  return std::make_unique<CpuMonitor>(clock, std::move(root));
}

}  // namespace qtipd
