// `sample-count`: so many samples, within the timeout that a fixed count does not have.
#include <cmath>

#include "server/engine/harness/stopping_criterion.h"

namespace qtipd {
namespace {

constexpr CriterionParameter kParameters[] = {
    {.name = "target-samples",
     .default_value = 100,
     .is_allowed = [](double v) { return v >= 1 && v <= 1e6 && v == std::floor(v); },
     .allowed = "a whole number from 1 to 1000000"}};

class SampleCountCriterion final : public StoppingCriterion {
 public:
  explicit SampleCountCriterion(double target) : target_(static_cast<size_t>(target)) {}
  void Add(double) override {}
  std::optional<StopReason> Check(std::span<const double> samples, double) override {
    if (samples.size() < target_) return std::nullopt;
    return StopReason::kSampleLimit;
  }

 private:
  const size_t target_;
};

std::unique_ptr<StoppingCriterion> Make(const CriterionSettings& settings) {
  return std::make_unique<SampleCountCriterion>(settings.Get("target-samples"));
}

}  // namespace

const CriterionEntry kSampleCountCriterion = {.name = "sample-count",
                                              .parameters = kParameters,
                                              .min_samples = 10,
                                              .max_samples = 1'000'000,
                                              .make = Make};

}  // namespace qtipd
