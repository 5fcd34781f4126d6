#include "server/engine/harness/stopping.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/random.h"

namespace qtipd {
namespace {

// Feeds N(1, spread) samples until the rule stops; returns how many it took.
size_t SamplesUntilStop(StoppingRule& rule, double spread, double seconds_per_sample,
                        StopReason* reason) {
  std::vector<double> samples;
  while (true) {
    float z;
    FillNormal(3, RandomStream::kTest, samples.size(), {&z, 1});
    samples.push_back(1 + spread * z);
    const double elapsed = seconds_per_sample * static_cast<double>(samples.size());
    if (const auto stop = rule.Check(samples, elapsed)) {
      *reason = *stop;
      return samples.size();
    }
  }
}

class StoppingTest : public ::testing::Test {
 protected:
  size_t Run(const IntervalRule& rule, double spread, double seconds_per_sample = 0) {
    return SamplesUntilStop(*UntilIntervalIsNarrow(rule), spread, seconds_per_sample, &reason_);
  }
  StopReason reason_ = StopReason::kCancelled;
};

TEST_F(StoppingTest, SteadySamplesStopAtTheMinimum) {
  EXPECT_EQ(Run({.min_samples = 30}, 1e-4), 30u);
  EXPECT_EQ(reason_, StopReason::kConverged);
}

TEST_F(StoppingTest, NoisierSamplesTakeMore) {
  const size_t calm = Run({.min_samples = 10}, 0.01);
  EXPECT_EQ(reason_, StopReason::kConverged);
  const size_t noisy = Run({.min_samples = 10}, 0.05);
  EXPECT_EQ(reason_, StopReason::kConverged);
  // The interval shrinks with the root of n: about (1.96 * 1.25 * 0.05 / 0.005)^2 = 600.
  EXPECT_GT(noisy, 5 * calm);
  EXPECT_GT(noisy, 200u);
  EXPECT_LT(noisy, 1200u);
}

TEST_F(StoppingTest, EndsAtTheSampleLimit) {
  EXPECT_EQ(Run({.max_samples = 100}, 0.5), 100u);
  EXPECT_EQ(reason_, StopReason::kSampleLimit);
}

TEST_F(StoppingTest, EndsAtTheTimeoutEvenBelowTheMinimum) {
  EXPECT_EQ(Run({.min_samples = 30, .max_seconds = 10}, 0.5, 2), 5u);
  EXPECT_EQ(reason_, StopReason::kTimeout);
}

TEST_F(StoppingTest, NeverConvergesWithoutAnInterval) { EXPECT_GE(Run({.min_samples = 1}, 0), 6u); }

TEST_F(StoppingTest, FixedCountIgnoresTime) {
  EXPECT_EQ(SamplesUntilStop(*FixedSamples(7), 0.5, 1e6, &reason_), 7u);
  EXPECT_EQ(reason_, StopReason::kSampleLimit);
}

TEST_F(StoppingTest, FractionGrowsToOne) {
  const auto rule = UntilIntervalIsNarrow({.max_samples = 10, .max_seconds = 10});
  EXPECT_DOUBLE_EQ(rule->Fraction(std::vector<double>(5), 0), 0.5);
  EXPECT_DOUBLE_EQ(rule->Fraction(std::vector<double>(5), 8), 0.8);
  EXPECT_DOUBLE_EQ(rule->Fraction(std::vector<double>(50), 8), 1);
}

TEST(CheckStopping, NamesTheFieldThatIsWrong) {
  const auto field = [](auto change) {
    BenchmarkSpec spec;
    change(spec);
    const ErrorInfo info = GetErrorInfo(CheckStopping(spec));
    return info.reason == "STOPPING_RULE_INVALID" ? info.metadata.at("field") : info.reason;
  };
  EXPECT_EQ(field([](BenchmarkSpec& s) {}), "OK");
  EXPECT_EQ(field([](BenchmarkSpec& s) { s.samples = -1; }), "samples");
  EXPECT_EQ(field([](BenchmarkSpec& s) { s.min_samples = 0; }), "min_samples");
  EXPECT_EQ(field([](BenchmarkSpec& s) { s.min_samples = s.max_samples + 1; }), "min_samples");
  EXPECT_EQ(field([](BenchmarkSpec& s) { s.max_samples = 1 << 30; }), "max_samples");
  EXPECT_EQ(field([](BenchmarkSpec& s) { s.relative_half_width = 0; }), "relative_half_width");
  EXPECT_EQ(field([](BenchmarkSpec& s) { s.max_seconds = 1e9; }), "timeout");
  EXPECT_EQ(field([](BenchmarkSpec& s) {
              s.samples = 5;  // the rest is ignored
              s.max_seconds = -1;
            }),
            "OK");
}

}  // namespace
}  // namespace qtipd
