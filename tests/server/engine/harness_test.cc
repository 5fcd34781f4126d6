// Sampling, measuring and the step breakdown on a fake device.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/api/error.h"
#include "server/engine/harness/correctness.h"
#include "server/engine/harness/measure.h"
#include "server/engine/harness/sampling.h"
#include "server/engine/harness/step_breakdown.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_device.h"

namespace qtipd {
namespace {

// Notes which copies and steps were run.
class NotingPath final : public PreparedPath {
 public:
  NotingPath(int copies, int steps) : copies_(copies) {
    for (int i = 0; i < steps; ++i) steps_.push_back("step" + std::to_string(i));
  }
  const std::vector<std::string>& steps() const override { return steps_; }
  int copies() const override { return copies_; }
  absl::Status Run(int copy, const void*, void*, int first_step, int end_step) override {
    runs.push_back({copy, first_step, end_step});
    return absl::OkStatus();
  }
  bool RepeatsPrevious(int step) const override { return step == repeating_step; }
  uint64_t bytes_per_run() const override { return 0; }
  uint64_t weight_bytes() const override { return 0; }

  struct OneRun {
    int copy, first_step, end_step;
    bool operator==(const OneRun&) const = default;
  };
  std::vector<OneRun> runs;
  int repeating_step = -1;

 private:
  const int copies_;
  std::vector<std::string> steps_;
};

class HarnessTest : public ::testing::Test {
 protected:
  StepRange Whole(NotingPath& path) {
    return {&path, nullptr, nullptr, 0, static_cast<int>(path.steps().size())};
  }
  std::shared_ptr<FakeDeviceControl> control_ = std::make_shared<FakeDeviceControl>();
  std::unique_ptr<Device> device_ = MakeFakeDevice(control_);
  FakeClock clock_;
};

// ---- Copies ----

TEST_F(HarnessTest, RotationExceedsThreeTimesTheCache) {
  control_->info.last_level_cache_bytes = uint64_t{200} << 20;
  const CopyPlan plan =
      PlanCopies(CacheMode::kRotate, uint64_t{4} << 20, control_->info, uint64_t{64} << 30);
  EXPECT_EQ(plan.copies, 151);
  EXPECT_TRUE(plan.exceeds_cache);
}

TEST_F(HarnessTest, RotationHasALeastSizeThatAGpuRaises) {
  const uint64_t four_mib = uint64_t{4} << 20;
  EXPECT_EQ(PlanCopies(CacheMode::kRotate, four_mib, control_->info, UINT64_MAX).copies, 64);
  control_->info.is_synchronous = false;
  EXPECT_EQ(PlanCopies(CacheMode::kRotate, four_mib, control_->info, UINT64_MAX).copies, 80);
}

TEST_F(HarnessTest, RotationSaysWhenMemoryForbidsIt) {
  control_->info.last_level_cache_bytes = uint64_t{200} << 20;
  const CopyPlan plan =
      PlanCopies(CacheMode::kRotate, uint64_t{4} << 20, control_->info, uint64_t{40} << 20);
  EXPECT_EQ(plan.copies, 5);
  EXPECT_FALSE(plan.exceeds_cache);
  EXPECT_EQ(PlanCopies(CacheMode::kRotate, 1000, control_->info, 10).copies, 1);
  EXPECT_EQ(PlanCopies(CacheMode::kRotate, 16, control_->info, UINT64_MAX).copies, kMostCopies);
}

TEST_F(HarnessTest, HotIsOneCopy) {
  EXPECT_EQ(PlanCopies(CacheMode::kHot, 1000, control_->info, UINT64_MAX).copies, 1);
}

// ---- Samples ----

TEST_F(HarnessTest, ASynchronousDeviceRunsTheNextCopyPerSample) {
  NotingPath path(3, 2);
  auto sampler = MakeSampler(*device_, Whole(path));
  ASSERT_TRUE(sampler.ok());
  EXPECT_EQ((*sampler)->runs_per_sample(), 1);
  path.runs.clear();  // recording may run the call once
  for (int i = 0; i < 4; ++i) ASSERT_TRUE((*sampler)->Sample().ok());
  const std::vector<NotingPath::OneRun> expected = {{1, 0, 2}, {2, 0, 2}, {0, 0, 2}, {1, 0, 2}};
  EXPECT_EQ(path.runs, expected);
}

TEST_F(HarnessTest, AGpuSampleIsTheMeanOverWholeRotations) {
  control_->info.is_synchronous = false;
  control_->replay_seconds = [](int64_t) { return 1.8; };
  NotingPath path(3, 2);
  auto sampler = MakeSampler(*device_, Whole(path));
  EXPECT_EQ((*sampler)->runs_per_sample(), 18);  // at least 16, and whole rotations
  EXPECT_DOUBLE_EQ((*sampler)->Sample()->seconds, 0.1);
  EXPECT_EQ(path.runs.size() % 18, 0u);
  EXPECT_EQ(path.runs[5].copy, 2);
}

TEST_F(HarnessTest, WarmsUpForAWhileButNotForever) {
  NotingPath path(1, 1);
  auto sampler = *MakeSampler(*device_, Whole(path));
  control_->replay_seconds = [](int64_t) { return 0.02; };
  ASSERT_TRUE(WarmUp(*sampler).ok());
  EXPECT_EQ(control_->replays, 3);
  control_->replays = 0;
  control_->replay_seconds = [](int64_t) { return 1e-9; };
  ASSERT_TRUE(WarmUp(*sampler).ok());
  EXPECT_EQ(control_->replays, 50);
}

TEST_F(HarnessTest, KeepsEverySampleInOrder) {
  NotingPath path(1, 1);
  auto sampler = *MakeSampler(*device_, Whole(path));
  control_->replay_seconds = [](int64_t n) { return n == 2 ? 100.0 : 1.0 + n; };
  const auto measured = Measure(
      *sampler, *FixedSamples(4), clock_, [] { return false; }, [](double) {});
  ASSERT_TRUE(measured.ok());
  EXPECT_EQ(measured->samples, (std::vector<double>{1, 2, 100, 4}));
  EXPECT_EQ(measured->stop_reason, StopReason::kSampleLimit);
  EXPECT_EQ(measured->statistics.median, 3);
}

TEST_F(HarnessTest, StopsByTheClockOnTheWall) {
  NotingPath path(1, 1);
  auto sampler = *MakeSampler(*device_, Whole(path));
  clock_.SetStep(1);
  control_->replay_seconds = [](int64_t n) { return n % 2 == 0 ? 1.0 : 2.0; };  // never narrow
  const auto measured = Measure(
      *sampler, *UntilIntervalIsNarrow({.max_seconds = 20}), clock_, [] { return false; },
      [](double) {});
  EXPECT_EQ(measured->stop_reason, StopReason::kTimeout);
  EXPECT_EQ(measured->samples.size(), 20u);
}

TEST_F(HarnessTest, IsCancelledBetweenSamples) {
  NotingPath path(1, 1);
  auto sampler = *MakeSampler(*device_, Whole(path));
  const auto measured = Measure(
      *sampler, *FixedSamples(1000), clock_, [&] { return control_->replays >= 5; }, [](double) {});
  EXPECT_TRUE(absl::IsCancelled(measured.status()));
  EXPECT_EQ(control_->replays, 5);
}

// ---- Steps ----

TEST_F(HarnessTest, StepsOnASynchronousDeviceAreReplayedInPlace) {
  NotingPath path(2, 3);
  control_->replay_seconds = [](int64_t n) { return 1.0 + static_cast<double>(n % 3); };
  const auto steps = MeasureSteps(*device_, Whole(path), 6, 4, [] { return false; });
  ASSERT_TRUE(steps.ok());
  EXPECT_EQ((*steps)[0].name, "step0");
  EXPECT_EQ((*steps)[0].median_seconds, 1);
  EXPECT_EQ((*steps)[2].median_seconds, 3);
  const std::vector<NotingPath::OneRun> last = {{1, 2, 3}, {0, 0, 1}, {0, 1, 2}, {0, 2, 3}};
  EXPECT_EQ(std::vector(path.runs.end() - 4, path.runs.end()), last);
}

TEST_F(HarnessTest, AStepThatRepeatsTheOneBeforeIsChargedTheDifference) {
  NotingPath path(2, 3);
  path.repeating_step = 2;
  control_->replay_seconds = [](int64_t n) { return std::vector<double>{1, 4, 6}[n % 3]; };
  const auto steps = *MeasureSteps(*device_, Whole(path), 7, 4, [] { return false; });
  EXPECT_EQ(steps[1].median_seconds, 4);
  EXPECT_EQ(steps[2].median_seconds, 2);
}

TEST_F(HarnessTest, StepsOnAGpuAddUpToTheWhole) {
  control_->info.is_synchronous = false;
  NotingPath path(16, 3);
  // What a replay of 16 runs costs follows from the steps it holds: 16 * (1 us, 5 us, 6 us).
  control_->replay_seconds = [&](int64_t) {
    return 16e-6 * std::vector<double>{0, 1, 5, 6}[path.runs.back().end_step];
  };
  const auto steps = MeasureSteps(*device_, Whole(path), 6e-6, 5, [] { return false; });
  ASSERT_TRUE(steps.ok());
  EXPECT_NEAR((*steps)[0].median_seconds, 1e-6, 1e-12);
  EXPECT_NEAR((*steps)[1].median_seconds, 4e-6, 1e-12);
  EXPECT_NEAR((*steps)[2].median_seconds, 1e-6, 1e-12);
}

TEST_F(HarnessTest, NoiseMakesNoStepNegative) {
  control_->info.is_synchronous = false;
  NotingPath path(16, 3);
  control_->replay_seconds = [&](int64_t) {
    return 16e-6 * std::vector<double>{0, 3, 2, 9}[path.runs.back().end_step];
  };
  const auto steps = *MeasureSteps(*device_, Whole(path), 6e-6, 5, [] { return false; });
  double sum = 0;
  for (const StepResult& step : steps) {
    EXPECT_GE(step.median_seconds, 0);
    sum += step.median_seconds;
  }
  EXPECT_NEAR(sum, 6e-6, 1e-12);
}

TEST_F(HarnessTest, AnOnlyStepIsTheWhole) {
  NotingPath path(1, 1);
  const auto steps = *MeasureSteps(*device_, Whole(path), 0.5, 5, [] { return false; });
  EXPECT_EQ(steps[0].median_seconds, 0.5);
  EXPECT_EQ(control_->replays, 0);
}

// ---- Correctness ----

TEST(RelativeError, IsTheL2Distance) {
  const std::vector<float> y = {3, 4.5f};
  const std::vector<double> reference = {3, 4, 99};  // a longer reference serves smaller batches
  EXPECT_DOUBLE_EQ(RelativeError(std::as_bytes(std::span(y)), DType::kF32, reference), 0.1);
}

TEST(RelativeError, ReadsHalves) {
  const std::vector<uint16_t> y = {FloatToHalf(1), FloatToHalf(2)};
  const std::vector<double> reference = {1, 2};
  EXPECT_EQ(RelativeError(std::as_bytes(std::span(y)), DType::kF16, reference), 0);
}

TEST(RelativeError, OfANanIsInfinite) {
  const std::vector<float> y = {1, std::nanf("")};
  const std::vector<double> reference = {1, 2};
  EXPECT_EQ(RelativeError(std::as_bytes(std::span(y)), DType::kF32, reference),
            std::numeric_limits<double>::infinity());
}

TEST(RelativeError, BoundsFollowTheOutputsPrecision) {
  EXPECT_EQ(RelativeErrorBound(DType::kF16), 1e-3);
  EXPECT_EQ(RelativeErrorBound(DType::kF32), 1e-5);
}

}  // namespace
}  // namespace qtipd
