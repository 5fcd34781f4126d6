// `stdrel`: the relative standard deviation of the samples is small, or does not change any more.
//
// The decisions are those of nvbench's criterion of this name: noise is the unbiased standard
// deviation over the mean of all samples so far, from the fifth on; it is stable where, at every
// 16th sample, the last up to 512 noises, more than 64 of them, spread by less than 5 % of their
// mean. 64 noises in a row that are no numbers end it too. Source: NVIDIA nvbench,
// https://github.com/NVIDIA/nvbench, docs/benchmarks.md.
#include <array>
#include <cmath>

#include "server/engine/harness/stopping_criterion.h"

namespace qtipd {
namespace {

constexpr int64_t kMinSamplesForNoise = 5;
constexpr size_t kWindow = 512;
constexpr size_t kMinWindow = 64;
constexpr int64_t kCheckInterval = 16;
constexpr double kStableSpread = 0.05;
constexpr int kMostInvalid = 64;

constexpr CriterionParameter kParameters[] = {
    {.name = "max-noise",
     .default_value = 0.005,
     .is_allowed = [](double value) { return value > 0 && value < 0.5; },
     .allowed = "a fraction, more than 0 and less than 0.5 (0.005 is half a per cent)"},
    kMinTimeParameter};

// Mean and sum of squared deviations, updated by each value (Welford, Technometrics 4 (1962) 419).
class Moments {
 public:
  void Add(double value) {
    ++count_;
    const double difference = value - mean_;
    mean_ += difference / static_cast<double>(count_);
    squares_ += difference * (value - mean_);
  }
  int64_t count() const { return count_; }
  double mean() const { return mean_; }
  double squares() const { return squares_; }

 private:
  int64_t count_ = 0;
  double mean_ = 0;
  double squares_ = 0;
};

class StdrelCriterion final : public StoppingCriterion {
 public:
  explicit StdrelCriterion(const CriterionSettings& settings)
      : max_noise_(settings.Get("max-noise")),
        min_seconds_(settings.Get("min-time")),
        runs_per_sample_(static_cast<double>(settings.runs_per_sample)) {}

  void Add(double seconds) override {
    samples_.Add(seconds);
    if (samples_.count() < kMinSamplesForNoise) return;
    const double variance = samples_.squares() / static_cast<double>(samples_.count() - 1);
    const double noise = std::sqrt(variance) / samples_.mean();
    if (!(samples_.mean() > 0) || !std::isfinite(noise)) {
      ++invalid_;
      return;
    }
    invalid_ = 0;
    noises_[noise_count_ % kWindow] = noise;
    ++noise_count_;
    noise_ = noise;
  }

  std::optional<StopReason> Check(std::span<const double>, double) override {
    if (invalid_ >= kMostInvalid) return StopReason::kNoiseStable;
    const double measured =
        samples_.mean() * static_cast<double>(samples_.count()) * runs_per_sample_;
    if (measured <= min_seconds_ || noise_count_ == 0 || invalid_ != 0) return std::nullopt;
    if (noise_ < max_noise_) return StopReason::kConverged;
    if (noise_count_ > kMinWindow && samples_.count() % kCheckInterval == 0 && IsStable()) {
      return StopReason::kNoiseStable;
    }
    return std::nullopt;
  }

 private:
  bool IsStable() const {
    Moments window;
    for (size_t i = 0; i < std::min(noise_count_, kWindow); ++i) window.Add(noises_[i]);
    const double variance = window.squares() / static_cast<double>(window.count());
    const double allowed = kStableSpread * window.mean();
    return variance < allowed * allowed;
  }

  const double max_noise_;
  const double min_seconds_;
  const double runs_per_sample_;
  Moments samples_;
  std::array<double, kWindow> noises_{};  // a ring; its order does not matter
  size_t noise_count_ = 0;
  double noise_ = 0;  // the newest
  int invalid_ = 0;   // in a row
};

std::unique_ptr<StoppingCriterion> Make(const CriterionSettings& settings) {
  return std::make_unique<StdrelCriterion>(settings);
}

}  // namespace

const CriterionEntry kStdrelCriterion = {.name = "stdrel",
                                         .parameters = kParameters,
                                         .min_samples = 10,
                                         .max_samples = 1'000'000,
                                         .make = Make};

}  // namespace qtipd
