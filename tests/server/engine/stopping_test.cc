#include "server/engine/harness/stopping.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <string>
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
  size_t Run(const BenchmarkSpec& spec, double spread, double seconds_per_sample = 0,
             int64_t runs_per_sample = 1) {
    EXPECT_TRUE(CheckStopping(spec).ok()) << CheckStopping(spec);
    return SamplesUntilStop(*MakeStoppingRule(spec, runs_per_sample), spread, seconds_per_sample,
                            &reason_);
  }
  static BenchmarkSpec By(const std::string& criterion) {
    BenchmarkSpec spec;
    spec.stopping_criterion = criterion;
    return spec;
  }
  StopReason reason_ = StopReason::kCancelled;
};

TEST_F(StoppingTest, SteadySamplesStopAtTheMinimum) {
  EXPECT_EQ(Run({.min_samples = 40}, 1e-4), 40u);
  EXPECT_EQ(reason_, StopReason::kConverged);
  EXPECT_EQ(Run({}, 1e-4), 30u);
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

TEST_F(StoppingTest, WantsALeastTime) {
  BenchmarkSpec spec;
  spec.stopping_parameters = {{"min-time", 100}};  // of samples of a second
  const size_t samples = Run(spec, 1e-4);
  EXPECT_GE(samples, 100u);
  EXPECT_LE(samples, 104u);                // it is not asked after every sample
  EXPECT_EQ(Run(spec, 1e-4, 0, 10), 30u);  // ten runs each
  spec.max_seconds = 3600;
  EXPECT_EQ(Run(spec, 1e-4, 50), 30u);  // fifty seconds of the wall each
}

TEST_F(StoppingTest, ANarrowIntervalAtTheSampleLimitConverged) {
  BenchmarkSpec spec{.max_samples = 100};
  spec.stopping_parameters = {{"min-time", 3600}};
  EXPECT_EQ(Run(spec, 1e-4), 100u);
  EXPECT_EQ(reason_, StopReason::kConverged);
}

TEST_F(StoppingTest, EndsAtTheSampleLimit) {
  EXPECT_EQ(Run({.max_samples = 100}, 0.5), 100u);
  EXPECT_EQ(reason_, StopReason::kSampleLimit);
  EXPECT_EQ(Run({.max_samples = 10}, 0.5), 10u);  // below the default minimum
}

TEST_F(StoppingTest, EveryCriterionEndsAtTheTimeoutEvenBelowTheMinimum) {
  for (const char* criterion : {"ci-width", "stdrel", "entropy", "sample-count"}) {
    BenchmarkSpec spec = By(criterion);
    spec.max_seconds = 10;
    EXPECT_EQ(Run(spec, 0.5, 2), 5u) << criterion;
    EXPECT_EQ(reason_, StopReason::kTimeout);
  }
}

TEST_F(StoppingTest, EveryCriterionTakesTheMinimum) {
  for (const char* criterion : {"ci-width", "stdrel", "sample-count"}) {
    BenchmarkSpec spec = By(criterion);
    spec.min_samples = 333;
    EXPECT_EQ(Run(spec, 0), 333u) << criterion;
  }
}

TEST_F(StoppingTest, StdrelStopsWhereMoreSamplesWouldNotHelp) {
  const size_t samples = Run(By("stdrel"), 0.05);
  EXPECT_EQ(reason_, StopReason::kNoiseStable);
  EXPECT_EQ(samples % 16, 0u);
  EXPECT_GT(samples, 64u);
}

TEST_F(StoppingTest, StdrelGivesUpOnTimesThatAreNone) {
  const auto rule = MakeStoppingRule(By("stdrel"), 1);
  std::vector<double> samples;
  std::optional<StopReason> reason;
  while (!reason && samples.size() < 1000) {
    samples.push_back(0);
    reason = rule->Check(samples, 0);
  }
  EXPECT_EQ(reason, StopReason::kNoiseStable);
  EXPECT_EQ(samples.size(), 68u);  // 64 noises, the first after five samples
}

TEST_F(StoppingTest, EntropyOfEqualSamplesEndsAtTheMinimum) {
  EXPECT_EQ(Run(By("entropy"), 0), 10u);
  EXPECT_EQ(reason_, StopReason::kConverged);
}

TEST_F(StoppingTest, SampleCountTakesItsTarget) {
  EXPECT_EQ(Run(By("sample-count"), 0.5), 100u);
  EXPECT_EQ(reason_, StopReason::kSampleLimit);
  BenchmarkSpec spec = By("sample-count");
  spec.stopping_parameters = {{"target-samples", 12}};
  EXPECT_EQ(Run(spec, 0.5), 12u);
}

TEST_F(StoppingTest, NeverConvergesWithoutAnInterval) { EXPECT_GE(Run({.min_samples = 1}, 0), 6u); }

TEST_F(StoppingTest, FixedCountIgnoresTime) {
  EXPECT_EQ(Run({.samples = 7}, 0.5, 1e6), 7u);
  EXPECT_EQ(reason_, StopReason::kSampleLimit);
}

TEST_F(StoppingTest, FractionGrowsToOne) {
  const auto rule = MakeStoppingRule({.max_samples = 10, .max_seconds = 10}, 1);
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
  EXPECT_EQ(field([](BenchmarkSpec& s) { s.min_samples = -1; }), "min_samples");
  EXPECT_EQ(field([](BenchmarkSpec& s) { s.min_samples = 10001; }), "min_samples");
  EXPECT_EQ(field([](BenchmarkSpec& s) { s.max_samples = 1 << 30; }), "max_samples");
  EXPECT_EQ(field([](BenchmarkSpec& s) { s.relative_half_width = 0; }), "relative_half_width");
  EXPECT_EQ(field([](BenchmarkSpec& s) { s.max_seconds = 1e9; }), "timeout");
  EXPECT_EQ(field([](BenchmarkSpec& s) {
              s.samples = 5;  // the rest is ignored
              s.max_seconds = -1;
            }),
            "OK");
}

TEST(CheckStopping, NamesTheCriteriaThereAre) {
  BenchmarkSpec spec;
  spec.stopping_criterion = "stderr";
  EXPECT_EQ(CheckStopping(spec).message(),
            "stopping criterion: got 'stderr', allowed ci-width, stdrel, entropy, sample-count");
}

TEST(CheckStopping, NamesTheParametersOfTheCriterion) {
  BenchmarkSpec spec;
  spec.stopping_criterion = "stdrel";
  spec.stopping_parameters = {{"min-r2", 0.5}};
  EXPECT_EQ(CheckStopping(spec).message(),
            "stopping parameter of stdrel: got 'min-r2', allowed max-noise, min-time");
}

TEST(CheckStopping, NamesWhatAParameterMayBe) {
  const auto allowed = [](const std::string& criterion, const std::string& name, double value) {
    BenchmarkSpec spec;
    spec.stopping_criterion = criterion;
    spec.stopping_parameters = {{name, value}};
    const absl::Status status = CheckStopping(spec);
    return status.ok() ? "" : GetErrorInfo(status).metadata.at("allowed");
  };
  EXPECT_EQ(allowed("stdrel", "max-noise", 0.005), "");
  EXPECT_EQ(allowed("stdrel", "max-noise", 0.5),
            "a fraction, more than 0 and less than 0.5 (0.005 is half a per cent)");
  EXPECT_EQ(allowed("ci-width", "min-time", -1), "0 to 3600 seconds");
  EXPECT_EQ(allowed("ci-width", "min-time", std::nan("")), "0 to 3600 seconds");
  EXPECT_EQ(allowed("entropy", "max-angle", 91), "0 to 90 degrees");
  EXPECT_EQ(allowed("entropy", "min-r2", 1.5), "0 to 1");
  EXPECT_EQ(allowed("sample-count", "target-samples", 0.5), "a whole number from 1 to 1000000");
}

TEST(WithStoppingDefaults, FillsWhatTheCriterionKnows) {
  BenchmarkSpec spec;
  spec.stopping_criterion = "stdrel";
  spec.stopping_parameters = {{"max-noise", 0.01}};
  const BenchmarkSpec whole = WithStoppingDefaults(spec);
  EXPECT_EQ(whole.min_samples, 10);
  EXPECT_EQ(whole.max_samples, 1'000'000);
  EXPECT_EQ(whole.stopping_parameters,
            (std::map<std::string, double>{{"max-noise", 0.01}, {"min-time", 0.5}}));
}

}  // namespace
}  // namespace qtipd
