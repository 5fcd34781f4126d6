// `entropy`: more samples tell nothing new about the distribution.
//
// The decisions are those of nvbench's criterion of this name: after each sample the Shannon
// entropy (bits) of all samples so far is taken, equal times being one symbol; a straight line is
// fitted to the last up to 299 entropies; at every second sample the measurement ends if the line
// rises by no more than max-angle and explains at least min-r2 of the entropies' variance. Source:
// NVIDIA nvbench, https://github.com/NVIDIA/nvbench, docs/benchmarks.md.
#include <algorithm>
#include <cmath>
#include <deque>
#include <numbers>
#include <unordered_map>

#include "server/engine/harness/stopping_criterion.h"

namespace qtipd {
namespace {

constexpr size_t kWindow = 299;

// Entropies that differ by rounding alone: their variance explains itself.
constexpr double kNoVariance = 1e-18;

constexpr CriterionParameter kParameters[] = {
    {.name = "max-angle",
     .default_value = 0.048,
     .is_allowed = [](double value) { return value >= 0 && value <= 90; },
     .allowed = "0 to 90 degrees"},
    {.name = "min-r2",
     .default_value = 0.36,
     .is_allowed = [](double value) { return value >= 0 && value <= 1; },
     .allowed = "0 to 1"}};

struct Line {
  double slope = 0;
  double r2 = 1;
};

// Least squares over values at 0, 1, 2, ...
Line Fit(const std::deque<double>& values) {
  const double count = static_cast<double>(values.size());
  const double mean_x = (count - 1) / 2;
  double mean_y = 0;
  for (const double y : values) mean_y += y / count;
  double xx = 0;
  double xy = 0;
  double yy = 0;
  double x = -mean_x;
  for (const double y : values) {
    xx += x * x;
    xy += x * (y - mean_y);
    yy += (y - mean_y) * (y - mean_y);
    x += 1;
  }
  return {.slope = xy / xx, .r2 = yy <= kNoVariance ? 1 : xy * xy / (xx * yy)};
}

class EntropyCriterion final : public StoppingCriterion {
 public:
  explicit EntropyCriterion(const CriterionSettings& settings)
      : max_angle_(settings.Get("max-angle")), min_r2_(settings.Get("min-r2")) {}

  void Add(double seconds) override {
    ++count_;
    // H = log2 n - (sum of f log2 f) / n over the frequencies f: one term changes a sample.
    double& frequency = frequencies_[seconds];
    const double before = Term(frequency);
    frequency += 1;
    terms_ += Term(frequency) - before;
    const double n = static_cast<double>(count_);
    entropies_.push_back(std::max(0.0, std::log2(n) - terms_ / n));
    if (entropies_.size() > kWindow) entropies_.pop_front();
  }

  std::optional<StopReason> Check(std::span<const double>, double) override {
    if (entropies_.size() < 2 || count_ % 2 != 0) return std::nullopt;
    const Line line = Fit(entropies_);
    const double angle = std::atan(line.slope) * 180 / std::numbers::pi;
    if (angle > max_angle_ || line.r2 < min_r2_) return std::nullopt;
    return StopReason::kConverged;
  }

 private:
  static double Term(double frequency) {
    return frequency > 0 ? frequency * std::log2(frequency) : 0;
  }

  const double max_angle_;
  const double min_r2_;
  int64_t count_ = 0;
  std::unordered_map<double, double> frequencies_;
  double terms_ = 0;
  std::deque<double> entropies_;
};

std::unique_ptr<StoppingCriterion> Make(const CriterionSettings& settings) {
  return std::make_unique<EntropyCriterion>(settings);
}

}  // namespace

const CriterionEntry kEntropyCriterion = {.name = "entropy",
                                          .parameters = kParameters,
                                          .min_samples = 10,
                                          .max_samples = 1'000'000,
                                          .make = Make};

}  // namespace qtipd
