// `ci-width`: the median is known well enough.
#include <algorithm>

#include "server/engine/harness/statistics.h"
#include "server/engine/harness/stopping_criterion.h"

namespace qtipd {
namespace {

constexpr CriterionParameter kParameters[] = {kMinTimeParameter};

class CiWidthCriterion final : public StoppingCriterion {
 public:
  explicit CiWidthCriterion(const CriterionSettings& settings)
      : half_width_(settings.relative_half_width),
        min_seconds_(settings.Get("min-time")),
        runs_per_sample_(static_cast<double>(settings.runs_per_sample)),
        max_samples_(static_cast<size_t>(settings.max_samples)),
        next_check_(kMinSamplesForInterval) {}

  void Add(double seconds) override { device_seconds_ += seconds * runs_per_sample_; }

  std::optional<StopReason> Check(std::span<const double> samples,
                                  double elapsed_seconds) override {
    // Short samples with much between them, as in cold caches, need not add up to the least time.
    const double measured = std::max(device_seconds_, elapsed_seconds);
    const bool is_last = samples.size() >= max_samples_;
    if (samples.size() < kMinSamplesForInterval) return std::nullopt;
    if (measured < min_seconds_ && !is_last) return std::nullopt;
    if (samples.size() < next_check_ && !is_last) return std::nullopt;
    // Looking at all samples after each would cost more than taking them; 3 % more at a time keeps
    // the total near-linear and wastes little.
    next_check_ = samples.size() + samples.size() / 32 + 1;
    if (RelativeHalfWidth(samples) > half_width_) return std::nullopt;
    return StopReason::kConverged;
  }

 private:
  const double half_width_;
  const double min_seconds_;
  const double runs_per_sample_;
  const size_t max_samples_;
  size_t next_check_;
  double device_seconds_ = 0;
};

std::unique_ptr<StoppingCriterion> Make(const CriterionSettings& settings) {
  return std::make_unique<CiWidthCriterion>(settings);
}

}  // namespace

const CriterionEntry kCiWidthCriterion = {.name = "ci-width",
                                          .parameters = kParameters,
                                          .min_samples = 30,
                                          .max_samples = 10'000,
                                          .make = Make};

}  // namespace qtipd
