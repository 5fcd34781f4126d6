#include "server/engine/harness/stopping.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/api/error.h"
#include "server/engine/harness/statistics.h"

namespace qtipd {
namespace {

constexpr int64_t kMostSamples = 1'000'000;
constexpr double kMostSeconds = 3600;

class FixedSamplesRule final : public StoppingRule {
 public:
  explicit FixedSamplesRule(int64_t samples) : samples_(static_cast<size_t>(samples)) {}
  std::optional<StopReason> Check(std::span<const double> samples, double) override {
    if (samples.size() < samples_) return std::nullopt;
    return StopReason::kSampleLimit;
  }
  double Fraction(std::span<const double> samples, double) const override {
    return std::min(1.0, static_cast<double>(samples.size()) / static_cast<double>(samples_));
  }

 private:
  const size_t samples_;
};

class NarrowIntervalRule final : public StoppingRule {
 public:
  explicit NarrowIntervalRule(const IntervalRule& rule)
      : rule_(rule),
        next_check_(std::max(static_cast<size_t>(rule.min_samples), kMinSamplesForInterval)) {}

  std::optional<StopReason> Check(std::span<const double> samples,
                                  double elapsed_seconds) override {
    if (samples.size() >= next_check_) {
      // Sorting all samples after each would cost more than the samples; 3 % more at a time keeps
      // the total near-linear and wastes little.
      next_check_ = samples.size() + samples.size() / 32 + 1;
      if (RelativeHalfWidth(Summarise(samples)) <= rule_.relative_half_width) {
        return StopReason::kConverged;
      }
    }
    if (samples.size() >= static_cast<size_t>(rule_.max_samples)) return StopReason::kSampleLimit;
    if (elapsed_seconds >= rule_.max_seconds) return StopReason::kTimeout;
    return std::nullopt;
  }

  double Fraction(std::span<const double> samples, double elapsed_seconds) const override {
    const double by_count =
        static_cast<double>(samples.size()) / static_cast<double>(rule_.max_samples);
    return std::min(1.0, std::max(by_count, elapsed_seconds / rule_.max_seconds));
  }

 private:
  const IntervalRule rule_;
  size_t next_check_;
};

absl::Status Invalid(const std::string& field, const std::string& got, const std::string& allowed) {
  return InvalidField("STOPPING_RULE_INVALID", field, got, allowed);
}

}  // namespace

std::unique_ptr<StoppingRule> FixedSamples(int64_t samples) {
  return std::make_unique<FixedSamplesRule>(samples);
}

std::unique_ptr<StoppingRule> UntilIntervalIsNarrow(const IntervalRule& rule) {
  return std::make_unique<NarrowIntervalRule>(rule);
}

absl::Status CheckStopping(const BenchmarkSpec& spec) {
  if (spec.samples < 0 || spec.samples > kMostSamples) {
    return Invalid("samples", std::to_string(spec.samples), "0 to 1000000");
  }
  if (spec.samples > 0) return absl::OkStatus();
  if (spec.min_samples < 1 || spec.min_samples > spec.max_samples) {
    return Invalid("min_samples", std::to_string(spec.min_samples),
                   "1 to max_samples (" + std::to_string(spec.max_samples) + ")");
  }
  if (spec.max_samples > kMostSamples) {
    return Invalid("max_samples", std::to_string(spec.max_samples), "1 to 1000000");
  }
  if (!(spec.relative_half_width > 0 && spec.relative_half_width < 1)) {
    return Invalid("relative_half_width", OptionText(spec.relative_half_width),
                   "more than 0 and less than 1");
  }
  if (!(spec.max_seconds > 0 && spec.max_seconds <= kMostSeconds)) {
    return Invalid("timeout", OptionText(spec.max_seconds), "more than 0 and at most 3600 seconds");
  }
  return absl::OkStatus();
}

std::unique_ptr<StoppingRule> MakeStoppingRule(const BenchmarkSpec& spec) {
  if (spec.samples > 0) return FixedSamples(spec.samples);
  return UntilIntervalIsNarrow({.relative_half_width = spec.relative_half_width,
                                .min_samples = spec.min_samples,
                                .max_samples = spec.max_samples,
                                .max_seconds = spec.max_seconds});
}

}  // namespace qtipd
