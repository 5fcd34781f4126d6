// Sampling, measuring and the step breakdown on a fake device.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/random.h"
#include "server/engine/harness/correctness.h"
#include "server/engine/harness/measure.h"
#include "server/engine/harness/sampling.h"
#include "server/engine/harness/step_breakdown.h"
#include "tests/server/engine/harness_fixture.h"

namespace qtipd {
namespace {

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

TEST_F(HarnessTest, HotAndColdAreOneCopy) {
  EXPECT_EQ(PlanCopies(CacheMode::kHot, 1000, control_->info, UINT64_MAX).copies, 1);
  EXPECT_EQ(PlanCopies(CacheMode::kCold, 1000, control_->info, UINT64_MAX).copies, 1);
}

// ---- Samples ----

TEST_F(HarnessTest, ASynchronousDeviceRunsTheNextCopyPerSample) {
  NotingPath path(3, 2);
  const auto sampler = Make(path);
  EXPECT_EQ(sampler->runs_per_sample(), 1);
  path.runs.clear();  // recording may run the call once
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(sampler->Sample().ok());
  const std::vector<NotingPath::OneRun> expected = {{1, 0, 2}, {2, 0, 2}, {0, 0, 2}, {1, 0, 2}};
  EXPECT_EQ(path.runs, expected);
}

TEST_F(HarnessTest, AGpuSampleIsTheMeanOverWholeRotations) {
  control_->info.is_synchronous = false;
  control_->replay_seconds = [](int64_t) { return 1.8; };
  NotingPath path(3, 2);
  const auto sampler = Make(path);
  EXPECT_EQ(sampler->runs_per_sample(), 18);  // at least 16, and whole rotations
  EXPECT_DOUBLE_EQ(sampler->Sample()->seconds, 0.1);
  EXPECT_EQ(path.runs.size() % 18, 0u);
  EXPECT_EQ(path.runs[5].copy, 2);
}

TEST_F(HarnessTest, AHotSampleOnAGpuIsTheMeanOverManyRuns) {
  control_->info.is_synchronous = false;
  NotingPath path(1, 1);
  EXPECT_EQ(Make(path, CacheMode::kHot)->runs_per_sample(), 16);
}

TEST_F(HarnessTest, AColdSampleIsOneRunAfterAFlush) {
  for (const bool is_synchronous : {true, false}) {
    control_->info.is_synchronous = is_synchronous;
    NotingPath path(1, 2);
    const auto sampler = Make(path, CacheMode::kCold);
    EXPECT_EQ(sampler->runs_per_sample(), 1);
    path.runs.clear();
    control_->flushes = 0;
    control_->on_replay = [&] { EXPECT_EQ(control_->flushes, control_->replays); };
    control_->replays = 0;
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(sampler->Sample().ok());
    EXPECT_EQ(path.runs.size(), 3u);
    EXPECT_EQ(control_->flushes, 3);
  }
}

TEST_F(HarnessTest, EveryCacheModeSamples) {
  for (const CacheMode mode : {CacheMode::kRotate, CacheMode::kCold, CacheMode::kHot}) {
    NotingPath path(1, 1);
    EXPECT_TRUE(Make(path, mode)->Sample().ok()) << CacheModeName(mode);
    EXPECT_EQ(IsBackToBack(mode), mode != CacheMode::kCold);
  }
}

// ---- The loop ----

TEST_F(HarnessTest, WarmsUpForAWhileButNotForever) {
  NotingPath path(1, 1);
  const auto sampler = Make(path);
  control_->replay_seconds = [](int64_t) { return 0.02; };
  ASSERT_TRUE(WarmUp(*sampler, clock_, 0.05).ok());
  EXPECT_EQ(control_->replays, 3);
  control_->replays = 0;
  control_->replay_seconds = [](int64_t) { return 1e-9; };
  ASSERT_TRUE(WarmUp(*sampler, clock_, 0.05).ok());
  EXPECT_EQ(control_->replays, 5000);  // the clock stands still
  control_->replays = 0;
  clock_.SetStep(0.01);
  ASSERT_TRUE(WarmUp(*sampler, clock_, 0.05).ok());
  EXPECT_LE(control_->replays, 6);
}

TEST_F(HarnessTest, AWarmUpTellsTheClockThatItReached) {
  NotingPath path(1, 1);
  control_->replay_seconds = [](int64_t) { return 0.01; };
  control_->replay_clock_hertz = [](int64_t n) { return n < 2 ? 3e8 : 1.5e9; };
  const auto clocks = WarmUp(*Make(path), clock_, 0.05);
  ASSERT_TRUE(clocks.ok());
  EXPECT_EQ(ReferenceClock(*clocks), 1.5e9);
  EXPECT_EQ(ReferenceClock(std::vector<double>{0, 0, 0, 0}), 0);
}

TEST_F(HarnessTest, AnEmptyReplayIsMeasuredByItself) {
  control_->replay_seconds = [](int64_t n) { return n < 3 ? 1.0 : 2e-6; };  // a warm-up, then
  EXPECT_EQ(*MeasureReplayOverhead(*device_), 2e-6);
}

TEST_F(HarnessTest, KeepsEverySampleInOrderWithItsClock) {
  NotingPath path(1, 1);
  control_->replay_seconds = [](int64_t n) { return n == 2 ? 100.0 : 1.0 + n; };
  control_->replay_clock_hertz = [](int64_t n) { return n == 1 ? 0.0 : 1e9 + n; };
  const auto measured = RunLoop(*Make(path), Fixed(4));
  ASSERT_TRUE(measured.ok());
  EXPECT_EQ(measured->samples, (std::vector<double>{1, 2, 100, 4}));
  EXPECT_EQ(measured->sample_clock_hertz, (std::vector<double>{1e9, 0, 1e9 + 2, 1e9 + 3}));
  EXPECT_EQ(measured->stop_reason, StopReason::kSampleLimit);
  EXPECT_EQ(measured->statistics.median, 3);
}

TEST_F(HarnessTest, ADeviceWithoutAClockHasNoClocks) {
  NotingPath path(1, 1);
  EXPECT_TRUE(RunLoop(*Make(path), Fixed(4))->sample_clock_hertz.empty());
}

TEST_F(HarnessTest, StopsByTheClockOnTheWall) {
  NotingPath path(1, 1);
  clock_.SetStep(1);
  control_->replay_seconds = [](int64_t n) { return n % 2 == 0 ? 1.0 : 2.0; };  // never narrow
  BenchmarkSpec spec;
  spec.max_seconds = 20;
  const auto measured = RunLoop(*Make(path), spec);
  EXPECT_EQ(measured->stop_reason, StopReason::kTimeout);
  EXPECT_EQ(measured->samples.size(), 20u);
}

TEST_F(HarnessTest, IsCancelledBetweenSamples) {
  NotingPath path(1, 1);
  ConditionsWatch watch(monitor_, clock_);
  const auto measured =
      RunLoop(*Make(path), Fixed(1000), watch, [&] { return control_->replays >= 5; });
  EXPECT_TRUE(absl::IsCancelled(measured.status()));
  EXPECT_EQ(control_->replays, 5);
}

TEST_F(HarnessTest, TakesAThrottledSampleAgain) {
  NotingPath path(1, 1);
  control_->replay_seconds = [](int64_t n) { return 1.0 + n; };
  control_->replay_clock_hertz = [](int64_t n) { return n == 1 ? 0.7e9 : 1e9; };
  ConditionsWatch watch(monitor_, clock_);
  watch.SetReference(1e9);
  const auto measured = RunLoop(*Make(path), Fixed(3), watch, never_);
  EXPECT_EQ(measured->samples, (std::vector<double>{1, 3, 4}));
  EXPECT_EQ(watch.Summary({}).retaken_samples, 1);
  EXPECT_EQ(watch.Summary({}).throttled_samples, 0);
}

TEST_F(HarnessTest, AThrottledDeviceGivesFlaggedSamplesAndNotNone) {
  NotingPath path(1, 1);
  control_->replay_seconds = [](int64_t) { return 1.0; };
  control_->replay_clock_hertz = [](int64_t) { return 0.7e9; };
  ConditionsWatch watch(monitor_, clock_);
  watch.SetReference(1e9);
  const auto measured = RunLoop(*Make(path), BenchmarkSpec(), watch, never_);
  EXPECT_EQ(measured->samples.size(), 30u);
  EXPECT_EQ(measured->stop_reason, StopReason::kThrottled);  // it would be CONVERGED
  EXPECT_EQ(watch.Summary({}).retaken_samples, 20);
  EXPECT_EQ(watch.Summary({}).throttled_samples, 30);
}

// What the loop itself costs on a path that takes no time: a rule that looked at all samples after
// each would need 10^8 steps here, and far longer than the samples.
TEST_F(HarnessTest, TenThousandSamplesAreJudgedInPassing) {
  NotingPath path(1, 1);
  BenchmarkSpec spec;
  control_->replay_seconds = [](int64_t n) { return n % 2 == 0 ? 1e-3 : 2e-3; };
  const auto measured = RunLoop(*Make(path), spec);
  EXPECT_EQ(measured->samples.size(), 10'000u);
  EXPECT_EQ(measured->stop_reason, StopReason::kSampleLimit);
}

// ---- Steps ----

TEST_F(HarnessTest, StepsOnASynchronousDeviceAreReplayedInPlace) {
  NotingPath path(2, 3);
  control_->replay_seconds = [](int64_t n) { return 1.0 + static_cast<double>(n % 3); };
  const auto steps = MeasureSteps(CacheMode::kRotate, *device_, Whole(path), 6, {.repetitions = 4},
                                  clock_, never_);
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
  const auto steps = *MeasureSteps(CacheMode::kRotate, *device_, Whole(path), 7, {.repetitions = 4},
                                   clock_, never_);
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
  const auto steps = MeasureSteps(CacheMode::kRotate, *device_, Whole(path), 6e-6,
                                  {.repetitions = 5}, clock_, never_);
  ASSERT_TRUE(steps.ok());
  EXPECT_NEAR((*steps)[0].median_seconds, 1e-6, 1e-12);
  EXPECT_NEAR((*steps)[1].median_seconds, 4e-6, 1e-12);
  EXPECT_NEAR((*steps)[2].median_seconds, 1e-6, 1e-12);
}

TEST_F(HarnessTest, StepsOnAGpuAreMeasuredAloneToo) {
  control_->info.is_synchronous = false;
  NotingPath path(16, 3);
  path.repeating_step = 2;
  // Alone the second step costs 5 us, in its place 4.
  control_->replay_seconds = [&](int64_t) {
    const NotingPath::OneRun& last = path.runs.back();
    return 16e-6 * (last.first_step == 1 ? 5 : std::vector<double>{0, 1, 5, 6}[last.end_step]);
  };
  const auto steps = *MeasureSteps(CacheMode::kRotate, *device_, Whole(path), 6e-6,
                                   {.repetitions = 5}, clock_, never_);
  EXPECT_NEAR(steps[1].median_seconds, 4e-6, 1e-12);
  ASSERT_TRUE(steps[1].alone_seconds.has_value());
  EXPECT_NEAR(*steps[1].alone_seconds, 5e-6, 1e-12);
  EXPECT_FALSE(steps[2].alone_seconds.has_value()) << "it runs the one before as well";
}

TEST_F(HarnessTest, NoiseMakesNoStepNegative) {
  control_->info.is_synchronous = false;
  NotingPath path(16, 3);
  control_->replay_seconds = [&](int64_t) {
    return 16e-6 * std::vector<double>{0, 3, 2, 9}[path.runs.back().end_step];
  };
  const auto steps = *MeasureSteps(CacheMode::kRotate, *device_, Whole(path), 6e-6,
                                   {.repetitions = 5}, clock_, never_);
  double sum = 0;
  for (const StepResult& step : steps) {
    EXPECT_GE(step.median_seconds, 0);
    sum += step.median_seconds;
  }
  EXPECT_NEAR(sum, 6e-6, 1e-12);
}

TEST_F(HarnessTest, ColdStepsAddUpToTheWholeOnASynchronousDeviceToo) {
  NotingPath path(1, 2);
  control_->replay_seconds = [&](int64_t) {
    return std::vector<double>{0, 2e-6, 5e-6}[path.runs.back().end_step];
  };
  const auto steps = *MeasureSteps(CacheMode::kCold, *device_, Whole(path), 5e-6,
                                   {.repetitions = 5}, clock_, never_);
  EXPECT_NEAR(steps[0].median_seconds, 2e-6, 1e-12);
  EXPECT_NEAR(steps[1].median_seconds, 3e-6, 1e-12);
  EXPECT_FALSE(steps[0].alone_seconds.has_value());
}

TEST_F(HarnessTest, StepsTakeNoMoreThanTheirTime) {
  for (const bool is_synchronous : {true, false}) {
    control_->info.is_synchronous = is_synchronous;
    control_->replays = 0;
    control_->on_replay = [&] { clock_.Advance(0.1); };
    NotingPath path(1, 2);
    const StepBudget budget{.repetitions = 1000, .max_seconds = 1};
    ASSERT_TRUE(
        MeasureSteps(CacheMode::kRotate, *device_, Whole(path), 1, budget, clock_, never_).ok());
    // Alone as well where steps are differences.
    EXPECT_LE(control_->replays, is_synchronous ? 12 : 26);
  }
}

TEST_F(HarnessTest, SlowStepsAreStillReplayedAFewTimes) {
  control_->on_replay = [&] { clock_.Advance(100); };
  NotingPath path(1, 2);
  ASSERT_TRUE(MeasureSteps(CacheMode::kRotate, *device_, Whole(path), 1, {}, clock_, never_).ok());
  EXPECT_EQ(control_->replays, 2 * kLeastStepRepetitions);
}

TEST_F(HarnessTest, StepsAreCancelledBetweenReplays) {
  NotingPath path(1, 2);
  const auto steps = MeasureSteps(CacheMode::kRotate, *device_, Whole(path), 1, {}, clock_,
                                  [&] { return control_->replays >= 2; });
  EXPECT_TRUE(absl::IsCancelled(steps.status()));
}

TEST_F(HarnessTest, AnOnlyStepIsTheWhole) {
  NotingPath path(1, 1);
  const auto steps = *MeasureSteps(CacheMode::kRotate, *device_, Whole(path), 0.5,
                                   {.repetitions = 5}, clock_, never_);
  EXPECT_EQ(steps[0].median_seconds, 0.5);
  EXPECT_EQ(control_->replays, 0);
}

TEST_F(HarnessTest, StepsInPlaceMayMissTheWholeAndSoBeTold) {
  NotingPath path(2, 2);
  control_->replay_seconds = [](int64_t n) { return n % 2 == 0 ? 1.0 : 3.0; };
  const auto steps = *MeasureSteps(CacheMode::kRotate, *device_, Whole(path), 4, {.repetitions = 5},
                                   clock_, never_);
  EXPECT_TRUE(StepsAddUp(steps, 4));
  EXPECT_TRUE(StepsAddUp(steps, 4.2));
  EXPECT_TRUE(StepsAddUp(steps, 3.82));
  EXPECT_FALSE(StepsAddUp(steps, 4.3));
  EXPECT_FALSE(StepsAddUp(steps, 3.7));
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

// What the bounds for BF16 allow beside the arithmetic, and what it takes of that.
TEST(RelativeError, OfRoundingGaussianOutputsToBf16IsWellWithinItsBound) {
  std::vector<float> y(10000);
  FillNormal(1, RandomStream::kTest, 0, y);
  const std::vector<double> reference(y.begin(), y.end());
  const double error = RelativeError(EncodeFloats(y, DType::kBF16), DType::kBF16, reference);
  EXPECT_NEAR(error, 1.65e-3, 5e-5);
  EXPECT_LT(error, 0.5 * RelativeErrorBound(DType::kBF16, DType::kF32));
}

TEST(RelativeError, OfANanIsInfinite) {
  const std::vector<float> y = {1, std::nanf("")};
  const std::vector<double> reference = {1, 2};
  EXPECT_EQ(RelativeError(std::as_bytes(std::span(y)), DType::kF32, reference),
            std::numeric_limits<double>::infinity());
}

TEST(RelativeError, BoundsFollowTheOutputsPrecision) {
  EXPECT_EQ(RelativeErrorBound(DType::kF16, DType::kF16), 1e-3);
  EXPECT_EQ(RelativeErrorBound(DType::kF32, DType::kF32), 1e-5);
  EXPECT_EQ(RelativeErrorBound(DType::kBF16, DType::kF16), 1e-3 + 0x1p-8);
  EXPECT_EQ(RelativeErrorBound(DType::kBF16, DType::kF32), 1e-5 + 0x1p-8);
}

TEST_F(HarnessTest, ALongReplayHasWholeRotationsOfEnoughRuns) {
  control_->info.is_synchronous = false;
  control_->replay_seconds = [](int64_t) { return 1.0; };
  NotingPath path(3, 1);
  const auto sampler = MakeLongSampler(*device_, Whole(path), 100);
  ASSERT_TRUE(sampler.ok());
  EXPECT_EQ((*sampler)->runs_per_sample(), 102);
  EXPECT_EQ(path.runs.size(), 102u);
  EXPECT_EQ(path.runs[101].copy, 2);
  EXPECT_DOUBLE_EQ((*sampler)->Sample()->seconds, 1.0 / 102);
  NotingPath one(1, 1);
  EXPECT_EQ((*MakeLongSampler(*device_, Whole(one), 1'000'000))->runs_per_sample(),
            kMostRunsPerReplay);
}

TEST_F(HarnessTest, ASampleGoesOverAllPlacesOfItsOperandsWithRunsInARowAtEach) {
  control_->info.is_synchronous = false;
  NotingPath path(3, 1);
  const int x[4] = {};
  StepRange range = Whole(path);
  range.places = {{x, nullptr}, {x + 1, nullptr}, {x + 2, nullptr}, {x + 3, nullptr}};
  ASSERT_TRUE(MakeSampler(CacheMode::kRotate, *device_, range).ok());
  ASSERT_EQ(path.inputs.size(), 18u);
  for (size_t run = 0; run < 18; ++run) EXPECT_EQ(path.inputs[run], x + run * 4 / 18) << run;
}

TEST_F(HarnessTest, PlacesArePairedSoThatEachOperandIsEverywhereItLies) {
  control_->info.is_synchronous = false;
  const auto small = SpreadBuffer::Allocate(*device_, 64);
  const auto large = SpreadBuffer::Allocate(*device_, size_t{2} << 20);
  ASSERT_TRUE(small.ok() && large.ok());
  const std::vector<OperandPlace> places = PairPlaces(*small, *large);
  ASSERT_EQ(places.size(), static_cast<size_t>(kPlaces));
  for (int i = 0; i < kPlaces; ++i) {
    EXPECT_EQ(places[i].x, small->at(i));
    EXPECT_EQ(places[i].y, large->at(0));
  }
}

TEST_F(HarnessTest, ASpreadOperandIsTheSameAtEveryPlace) {
  control_->info.is_synchronous = false;
  const std::vector<float> values = {1, 2, 3};
  const auto buffer = SpreadBuffer::Allocate(*device_, sizeof(float) * values.size());
  ASSERT_TRUE(buffer.ok() && buffer->CopyToDevice(*device_, values.data()).ok());
  for (int place = 0; place < kPlaces; ++place) {
    std::vector<float> read(values.size());
    ASSERT_TRUE(device_->CopyToHost(read.data(), buffer->at(place), 12).ok());
    EXPECT_EQ(read, values);
  }
}

TEST_F(HarnessTest, WhereDeviceMemoryIsTheHostsAnOperandHasOnePlace) {
  control_->info.is_synchronous = true;
  EXPECT_EQ(SpreadBuffer::Allocate(*device_, 64)->places(), 1);
}

TEST_F(HarnessTest, ASynchronousDeviceHasNoGapsToMakeRare) {
  NotingPath path(3, 1);
  EXPECT_EQ((*MakeLongSampler(*device_, Whole(path), 100))->runs_per_sample(), 1);
}

}  // namespace
}  // namespace qtipd
