#include "kernels/api/device_ceiling.h"

#include <gtest/gtest.h>

namespace qtipd {
namespace {

// 1 us of launch and 1 TB/s, but the last point 2 TB/s.
DeviceCeiling Ceiling() {
  DeviceCeiling ceiling;
  ceiling.read = {{1'000'000, 2e-6}, {2'000'000, 3e-6}, {8'000'000, 4e-6}};
  return ceiling;
}

TEST(ReadSeconds, FollowsTheCurveBetweenItsPoints) {
  EXPECT_DOUBLE_EQ(ReadSeconds(Ceiling(), 1'000'000), 2e-6);
  EXPECT_DOUBLE_EQ(ReadSeconds(Ceiling(), 1'500'000), 2.5e-6);
  EXPECT_DOUBLE_EQ(ReadSeconds(Ceiling(), 2'000'000), 3e-6);
  EXPECT_DOUBLE_EQ(ReadSeconds(Ceiling(), 5'000'000), 3.5e-6);
}

TEST(ReadSeconds, KeepsTheLaunchBelowTheFirstPoint) {
  EXPECT_NEAR(ReadSeconds(Ceiling(), 500'000), 1.5e-6, 1e-15);
  EXPECT_NEAR(ReadSeconds(Ceiling(), 0), 1e-6, 1e-15);
}

TEST(ReadSeconds, IsNeverMoreThanTheBestBandwidth) {
  DeviceCeiling ceiling;
  ceiling.read = {{1'000'000, 1e-6}, {2'000'000, 3e-6}};
  EXPECT_EQ(ReadSeconds(ceiling, 0), 0);
  EXPECT_DOUBLE_EQ(ReadSeconds(ceiling, 250'000), 2.5e-7);
}

TEST(ReadSeconds, KeepsTheLastBandwidthBeyondTheCurve) {
  EXPECT_DOUBLE_EQ(ReadSeconds(Ceiling(), 16'000'000), 8e-6);
}

TEST(ReadSeconds, TakesOnePointAsABandwidth) {
  DeviceCeiling ceiling;
  ceiling.read = {{1'000'000, 1e-6}};
  EXPECT_DOUBLE_EQ(ReadSeconds(ceiling, 500'000), 5e-7);
}

TEST(ReadSeconds, IsZeroWithoutACurve) { EXPECT_EQ(ReadSeconds({}, 1'000'000), 0); }

TEST(CachedReadSeconds, FollowsItsOwnCurve) {
  DeviceCeiling ceiling = Ceiling();
  EXPECT_EQ(CachedReadSeconds(ceiling, 1'000'000), 0);
  ceiling.read_cached = {{1'000'000, 1e-6}, {2'000'000, 1.5e-6}};
  EXPECT_DOUBLE_EQ(CachedReadSeconds(ceiling, 1'500'000), 1.25e-6);
  EXPECT_DOUBLE_EQ(CachedReadSeconds(ceiling, 2'000'000), 1.5e-6);
  EXPECT_DOUBLE_EQ(CachedReadSeconds(ceiling, 4'000'000), 3e-6);
}

}  // namespace
}  // namespace qtipd
