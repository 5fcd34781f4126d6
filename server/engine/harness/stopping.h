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
  // began. Each call has one sample more than the one before.
  virtual std::optional<StopReason> Check(std::span<const double> samples,
                                          double elapsed_seconds) = 0;
  // Share of the work done in [0, 1], an estimate for progress.
  virtual double Fraction(std::span<const double> samples, double elapsed_seconds) const = 0;
};

// The criteria, each with its parameters and their defaults:
//   ci-width      the 95 % interval of the median is within spec.relative_half_width of it
//                 on either side, and measuring took `min-time` 0.5 s, or max_samples. The interval
//                 says how well the median is known; the spread of samples does not.
//   stdrel        relative standard deviation below `max-noise` 0.005, or no longer changing, after
//                 `min-time` 0.5 s of device time
//   entropy       the entropy of the samples seen so far no longer grows: `max-angle`
//                 0.048 degrees, `min-r2` 0.36
//   sample-count  `target-samples` 100
// The last three are nvbench's, https://github.com/NVIDIA/nvbench. For all, min_samples are taken
// (30 with ci-width, else 10), and at most max_samples or max_seconds.
//
// Errors: InvalidArgument/STOPPING_RULE_INVALID by field.
absl::Status CheckStopping(const BenchmarkSpec& spec);

// `spec`, which has passed CheckStopping, with the limits and parameters of its criterion where it
// leaves them to their defaults.
BenchmarkSpec WithStoppingDefaults(BenchmarkSpec spec);

// The rule that a benchmark asks for, whose spec has passed CheckStopping. `runs_per_sample` runs
// are behind each sample.
std::unique_ptr<StoppingRule> MakeStoppingRule(const BenchmarkSpec& spec, int64_t runs_per_sample);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_STOPPING_H_
