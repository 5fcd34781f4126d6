#include "server/engine/harness/roofline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qtipd {
namespace {

using ::testing::DoubleNear;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// 1 us of launch and 1 TB/s; 1e12 instructions and 2e11 wavefronts a second.
DeviceCeiling Ceiling() {
  DeviceCeiling ceiling;
  ceiling.read = {{1'000'000, 2e-6}, {10'000'000, 11e-6}};
  ceiling.launch_seconds = 5e-7;
  ceiling.overlapped_launch_seconds = 4e-7;
  ceiling.rates = {{"issue", 1e12}, {"shared_memory", 2e11}};
  return ceiling;
}

RooflineProblem Problem() {
  return {.is_cache_cold = true,
          .bytes_per_run = 4'000'000,
          .last_level_cache_bytes = 5'000'000,
          .operations = {{"launch", 3}, {"issue", 1.4e6}, {"shared_memory", 4e5}},
          .median_seconds = 10e-6};
}

TEST(Roofline, KnowsEveryLimitAndNamesTheLargest) {
  const auto roofline = ComputeRoofline(Ceiling(), Problem());
  ASSERT_TRUE(roofline.has_value());
  EXPECT_THAT(roofline->limit_seconds,
              UnorderedElementsAre(Pair("bandwidth", DoubleNear(5e-6, 1e-12)),
                                   Pair("launch", DoubleNear(1.2e-6, 1e-12)),
                                   Pair("issue", DoubleNear(1.4e-6, 1e-12)),
                                   Pair("shared_memory", DoubleNear(2e-6, 1e-12))));
  EXPECT_EQ(roofline->limit, "bandwidth");
  EXPECT_NEAR(roofline->seconds, 5e-6, 1e-12);
  EXPECT_NEAR(roofline->fraction, 0.5, 1e-6);
}

TEST(Roofline, IsBoundByInstructionsWhereTheyTakeLongest) {
  RooflineProblem problem = Problem();
  problem.operations["issue"] = 8e6;
  const auto roofline = ComputeRoofline(Ceiling(), problem);
  EXPECT_EQ(roofline->limit, "issue");
  EXPECT_NEAR(roofline->fraction, 0.8, 1e-6);
}

// As Ceiling(), and 4 TB/s after 1 us from the cache.
DeviceCeiling CachedCeiling() {
  DeviceCeiling ceiling = Ceiling();
  ceiling.read_cached = {{1'000'000, 1.25e-6}, {4'000'000, 2e-6}};
  return ceiling;
}

TEST(Roofline, TakesTheBandwidthOfTheCacheWhereItMayHoldTheWeights) {
  RooflineProblem problem = Problem();
  problem.is_cache_cold = false;
  problem.operations = {};
  const auto roofline = ComputeRoofline(CachedCeiling(), problem);
  EXPECT_EQ(roofline->limit, "cache_bandwidth");
  EXPECT_NEAR(roofline->seconds, 2e-6, 1e-12);
  EXPECT_FALSE(roofline->limit_seconds.contains("bandwidth"));
}

TEST(Roofline, ReadsFromMemoryWhatAHotCacheCannotHold) {
  RooflineProblem problem = Problem();
  problem.is_cache_cold = false;
  problem.bytes_per_run = 9'000'000;
  const auto roofline = ComputeRoofline(CachedCeiling(), problem);
  EXPECT_NEAR(roofline->limit_seconds.at("bandwidth"), 5e-6, 1e-12);
  EXPECT_FALSE(roofline->limit_seconds.contains("cache_bandwidth"));
}

TEST(Roofline, CountsWhatTheCacheCannotHoldOfScratchMemoryBothWays) {
  RooflineProblem problem = Problem();
  problem.scratch_bytes = 5'000'000;
  EXPECT_NEAR(ComputeRoofline(Ceiling(), problem)->limit_seconds.at("bandwidth"), 5e-6, 1e-12);
  problem.scratch_bytes = 7'000'000;  // 2 MB too much, there and back
  EXPECT_NEAR(ComputeRoofline(Ceiling(), problem)->limit_seconds.at("bandwidth"), 9e-6, 1e-12);
  problem.is_cache_cold = false;
  const auto hot = ComputeRoofline(CachedCeiling(), problem);
  EXPECT_NEAR(hot->limit_seconds.at("bandwidth"), 7e-6, 1e-12);
  problem.scratch_bytes = 1'000'000;
  problem.bytes_per_run = 2'000'000;
  const auto cached = ComputeRoofline(CachedCeiling(), problem);
  EXPECT_NEAR(cached->limit_seconds.at("cache_bandwidth"), 2e-6, 1e-12);
}

TEST(Roofline, RatesFollowTheClockOfTheRun) {
  DeviceCeiling ceiling = Ceiling();
  RooflineProblem problem = Problem();
  ceiling.clock_hertz = 2e9;
  EXPECT_NEAR(ComputeRoofline(ceiling, problem)->limit_seconds.at("issue"), 1.4e-6, 1e-12);
  problem.clock_hertz = 1e9;
  const auto slower = ComputeRoofline(ceiling, problem);
  EXPECT_NEAR(slower->limit_seconds.at("issue"), 2.8e-6, 1e-12);
  EXPECT_NEAR(slower->limit_seconds.at("shared_memory"), 4e-6, 1e-12);
  EXPECT_NEAR(slower->limit_seconds.at("bandwidth"), 5e-6, 1e-12);
  EXPECT_NEAR(slower->limit_seconds.at("launch"), 1.2e-6, 1e-12);
  ceiling.clock_hertz = 0;
  EXPECT_NEAR(ComputeRoofline(ceiling, problem)->limit_seconds.at("issue"), 1.4e-6, 1e-12);
}

TEST(Roofline, TakesPlainLaunchesWhereNoneOverlap) {
  DeviceCeiling ceiling = Ceiling();
  ceiling.overlapped_launch_seconds = 0;
  EXPECT_NEAR(ComputeRoofline(ceiling, Problem())->limit_seconds.at("launch"), 1.5e-6, 1e-12);
}

TEST(Roofline, IgnoresOperationsWithoutARateAndRatesWithoutOperations) {
  RooflineProblem problem = Problem();
  problem.operations = {{"tensor", 1e9}};
  const auto roofline = ComputeRoofline(Ceiling(), problem);
  EXPECT_THAT(roofline->limit_seconds, testing::SizeIs(1));
}

TEST(Roofline, IsAbsentWhereNothingIsKnown) {
  EXPECT_FALSE(ComputeRoofline(DeviceCeiling(), Problem()).has_value());
  RooflineProblem unmeasured = Problem();
  unmeasured.median_seconds = 0;
  EXPECT_FALSE(ComputeRoofline(Ceiling(), unmeasured).has_value());
}

}  // namespace
}  // namespace qtipd
