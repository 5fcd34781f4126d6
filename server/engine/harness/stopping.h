// When a measurement has enough samples.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_STOPPING_H_
#define QTIPD_SERVER_ENGINE_HARNESS_STOPPING_H_

#include <memory>
#include <optional>
#include <span>

#include "absl/status/status.h"
#include "server/engine/types.h"

namespace qtipd {

// Asked after every sample; not thread-safe, one object a measurement.
class StoppingRule {
 public:
  virtual ~StoppingRule() = default;
  // Why to stop now, or nothing: go on. `elapsed_seconds` is wall time since the first sample
  // began.
  virtual std::optional<StopReason> Check(std::span<const double> samples,
                                          double elapsed_seconds) = 0;
  // Share of the work done in [0, 1], an estimate for progress.
  virtual double Fraction(std::span<const double> samples, double elapsed_seconds) const = 0;
};

// Exactly `samples`, however long that takes.
std::unique_ptr<StoppingRule> FixedSamples(int64_t samples);

struct IntervalRule {
  double relative_half_width = 0.005;
  int64_t min_samples = 30;
  int64_t max_samples = 10000;
  double max_seconds = 15;
};

// Until the 95 % interval of the median is within `relative_half_width` of it on either side, at
// most `max_samples` or `max_seconds`. The interval says how well the median is known; the spread
// of the samples does not.
std::unique_ptr<StoppingRule> UntilIntervalIsNarrow(const IntervalRule& rule);

// The rule that a benchmark asks for. Errors: InvalidArgument/STOPPING_RULE_INVALID by field.
absl::Status CheckStopping(const BenchmarkSpec& spec);
std::unique_ptr<StoppingRule> MakeStoppingRule(const BenchmarkSpec& spec);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_STOPPING_H_
