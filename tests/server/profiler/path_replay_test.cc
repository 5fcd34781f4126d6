#include "server/profiler/program/path_replay.h"

#include <gtest/gtest.h>

namespace qtipd {
namespace {

TEST(PathReplay, RepeatsShortWorkOnTheCpuForATenthOfASecond) {
  EXPECT_EQ(RepeatsOfReplay(0.001, true), 100);
  EXPECT_EQ(RepeatsOfReplay(0.03, true), 4);
  EXPECT_EQ(RepeatsOfReplay(2, true), 1);
}

TEST(PathReplay, RepeatsNothingForEver) {
  EXPECT_EQ(RepeatsOfReplay(0, true), 100000);
  EXPECT_EQ(RepeatsOfReplay(1e-9, true), 100000);
  EXPECT_EQ(RepeatsOfReplay(0, false), 16);
}

TEST(PathReplay, RepeatsARecordingOnAGpuLessOftenTheLongerItTakes) {
  EXPECT_EQ(RepeatsOfReplay(0.0025, false), 16);
  EXPECT_EQ(RepeatsOfReplay(0.01, false), 4);
  EXPECT_EQ(RepeatsOfReplay(1, false), 1);
}

}  // namespace
}  // namespace qtipd
