#include "server/engine/harness/conditions_watch.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "server/engine/harness/statistics.h"

namespace qtipd {
namespace {

constexpr std::array<std::string_view, 4> kSlowdowns = {
    "HW_SLOWDOWN", "SW_THERMAL_SLOWDOWN", "HW_THERMAL_SLOWDOWN", "HW_POWER_BRAKE_SLOWDOWN"};

constexpr int64_t kDriftedShare = 20;  // one in so many

bool HasGrown(const std::optional<uint64_t>& before, const std::optional<uint64_t>& after) {
  return before && after && *after > *before;
}

std::vector<double> Known(std::span<const double> clocks) {
  std::vector<double> known;
  std::copy_if(clocks.begin(), clocks.end(), std::back_inserter(known),
               [](double hertz) { return hertz > 0; });
  return known;
}

// Of "kind: amount ..." the kind, else the whole line; and the amount.
std::pair<std::string, double> KindAndAmount(const std::string& line) {
  const size_t colon = line.find(": ");
  if (colon == std::string::npos) return {line, 0};
  return {line.substr(0, colon), std::strtod(line.c_str() + colon + 2, nullptr)};
}

// Of every kind the line with the greatest amount.
void Keep(const std::vector<std::string>& lines, std::map<std::string, std::string>& kept) {
  for (const std::string& line : lines) {
    const auto [kind, amount] = KindAndAmount(line);
    const auto known = kept.find(kind);
    if (known == kept.end()) {
      if (kept.size() < kMostForeignWork) kept[kind] = line;
    } else if (amount > KindAndAmount(known->second).second) {
      known->second = line;
    }
  }
}

}  // namespace

bool IsSlowdown(std::string_view event) {
  return std::find(kSlowdowns.begin(), kSlowdowns.end(), event) != kSlowdowns.end();
}

void ConditionsWatch::Begin() {
  Poll(clock_.MonotonicSeconds(), Freshness::kBegin);
  first_ = last_;
}

void ConditionsWatch::Poll(double now, Freshness freshness) {
  last_poll_ = now;
  last_ = monitor_.Read(freshness);
  if (last_.clock_hertz) polled_clocks_.push_back(*last_.clock_hertz);
  clock_events_.insert(last_.clock_events.begin(), last_.clock_events.end());
  Keep(last_.foreign_work, foreign_work_);
  Keep(last_.idle_processes, idle_processes_);
  is_slowed_down_ = std::any_of(last_.clock_events.begin(), last_.clock_events.end(), IsSlowdown);
  was_slowed_down_ = was_slowed_down_ || is_slowed_down_;
}

ConditionsWatch::Verdict ConditionsWatch::Judge(const ReplayTiming& timing, double now) {
  if (now - last_poll_ >= kPollSeconds) Poll(now, Freshness::kGrid);
  const bool has_clock = timing.clock_hertz > 0 && reference_hertz_ > 0;
  const bool is_slow = has_clock && timing.clock_hertz < kThrottledClock * reference_hertz_;
  if ((is_slow || is_slowed_down_) && retaken_ < kMostRetakes) {
    ++retaken_;
    Recover();
    return Verdict::kTakeAgain;
  }
  ++kept_;
  if (is_slow || is_slowed_down_) ++throttled_;
  if (has_clock && timing.clock_hertz < kDriftedClock * reference_hertz_) ++drifted_;
  if (timing.clock_hertz > 0 && timing.clock_hertz < kLowClock * default_hertz_) ++low_;
  return Verdict::kKeep;
}

// The next sample is judged by a look at the device as it is then, not as it was.
void ConditionsWatch::Recover() {
  const double wait = std::min(next_recovery_, kAllRecoverySeconds - waited_);
  if (wait > 0) clock_.Sleep(wait);
  waited_ += std::max(wait, 0.0);
  next_recovery_ = std::min(2 * next_recovery_, kMostRecoverySeconds);
  Poll(clock_.MonotonicSeconds(), Freshness::kNow);
}

Conditions ConditionsWatch::Summary(std::span<const double> sample_clock_hertz) const {
  Conditions conditions;
  std::vector<double> clocks = Known(sample_clock_hertz);
  if (clocks.empty()) clocks = polled_clocks_;
  if (!clocks.empty()) {
    const auto [low, high] = std::minmax_element(clocks.begin(), clocks.end());
    conditions.clock_hertz = Median(clocks);
    conditions.clock_hertz_minimum = *low;
    conditions.clock_hertz_maximum = *high;
  }
  if (first_) conditions.temperature_begin_celsius = first_->temperature_celsius;
  conditions.temperature_end_celsius = last_.temperature_celsius;
  conditions.clock_events.assign(clock_events_.begin(), clock_events_.end());
  conditions.throttled_samples = throttled_;
  conditions.retaken_samples = retaken_;
  for (const auto& [kind, line] : foreign_work_) conditions.foreign_work.push_back(line);
  for (const auto& [kind, line] : idle_processes_) {
    if (!foreign_work_.contains(kind)) conditions.foreign_work.push_back(line + ", idle");
  }
  return conditions;
}

std::vector<std::string> ConditionsWatch::Warnings() const {
  std::vector<std::string> warnings;
  if (throttled_ > 0 || was_slowed_down_) warnings.emplace_back("THROTTLED");
  if (kDriftedShare * drifted_ > kept_) warnings.emplace_back("CLOCK_DRIFT");
  if (2 * low_ > kept_) warnings.emplace_back("CLOCK_LOW");
  if (!foreign_work_.empty()) warnings.emplace_back("FOREIGN_WORK");
  if (first_ && (HasGrown(first_->ecc_corrected_errors, last_.ecc_corrected_errors) ||
                 HasGrown(first_->ecc_uncorrected_errors, last_.ecc_uncorrected_errors))) {
    warnings.emplace_back("ECC_ERRORS");
  }
  return warnings;
}

double ReferenceClock(std::span<const double> warm_up_clock_hertz) {
  return Median(Known(warm_up_clock_hertz.subspan(warm_up_clock_hertz.size() / 2)));
}

}  // namespace qtipd
