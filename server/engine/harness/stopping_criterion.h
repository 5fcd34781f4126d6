// When the samples of a measurement suffice: the seam of stopping criteria.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_STOPPING_CRITERION_H_
#define QTIPD_SERVER_ENGINE_HARNESS_STOPPING_CRITERION_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "server/engine/types.h"

namespace qtipd {

// Fed every sample in order; not thread-safe, one object a measurement.
class StoppingCriterion {
 public:
  virtual ~StoppingCriterion() = default;
  // The next sample's seconds.
  virtual void Add(double seconds) = 0;
  // Why to stop now, or nothing: go on. `samples` are all that were added, `elapsed_seconds` is
  // wall time since the first one began. Asked after every sample from the least number on.
  virtual std::optional<StopReason> Check(std::span<const double> samples,
                                          double elapsed_seconds) = 0;
};

// What a measurement asks of its criterion; every parameter that it has is in `parameters`.
struct CriterionSettings {
  std::map<std::string, double, std::less<>> parameters = {};
  double relative_half_width = 0.005;
  int64_t min_samples = 0;
  int64_t max_samples = 0;
  int64_t runs_per_sample = 1;  // a sample is the mean of that many

  double Get(std::string_view parameter) const { return parameters.find(parameter)->second; }
};

struct CriterionParameter {
  std::string_view name;
  double default_value = 0;
  bool (*is_allowed)(double value);
  std::string_view allowed;  // in words
};

// A criterion: one file stopping_<name>.cc and one line of the table in stopping.cc.
struct CriterionEntry {
  std::string_view name;
  std::span<const CriterionParameter> parameters;
  int64_t min_samples = 0;  // defaults
  int64_t max_samples = 0;
  std::unique_ptr<StoppingCriterion> (*make)(const CriterionSettings& settings);
};

extern const CriterionEntry kCiWidthCriterion;
extern const CriterionEntry kStdrelCriterion;
extern const CriterionEntry kEntropyCriterion;
extern const CriterionEntry kSampleCountCriterion;

// Shared by those that want a least measured time, in seconds.
inline constexpr CriterionParameter kMinTimeParameter = {
    .name = "min-time",
    .default_value = 0.5,
    .is_allowed = [](double value) { return value >= 0 && value <= 3600; },
    .allowed = "0 to 3600 seconds"};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_STOPPING_CRITERION_H_
