#include "client/progress.h"

#include <gtest/gtest.h>

#include <sstream>

namespace qtipd {
namespace {

v1::OperationMetadata Running(double progress) {
  v1::OperationMetadata metadata;
  metadata.set_kind("quantize");
  metadata.set_target("w2");
  metadata.set_state(v1::RUNNING);
  metadata.set_stage("viterbi");
  metadata.set_progress(progress);
  return metadata;
}

TEST(ProgressText, ForecastsFromTheTimeSpent) {
  EXPECT_EQ(ProgressText(Running(0.5), absl::Seconds(8)),
            "quantize w2  [############------------] 50 %  viterbi  8.00 s left");
}

TEST(ProgressText, ForecastsNothingAtTheStart) {
  EXPECT_EQ(ProgressText(Running(0), absl::Seconds(8)),
            "quantize w2  [------------------------] 0 %  viterbi");
}

TEST(ProgressText, StaysInItsBar) {
  EXPECT_NE(ProgressText(Running(7), absl::Seconds(1)).find("100 %"), std::string::npos);
}

TEST(ProgressText, SaysThatAJobWaits) {
  v1::OperationMetadata metadata = Running(0);
  metadata.set_state(v1::QUEUED);
  EXPECT_EQ(ProgressText(metadata, absl::Seconds(1)), "quantize w2  queued");
}

TEST(TellPart, WritesALineOnATerminalOnly) {
  std::ostringstream out;
  TellPart(out, /*is_terminal=*/false, 11, 49, "64x64 lut bits=1");
  EXPECT_EQ(out.str(), "");
  TellPart(out, /*is_terminal=*/true, 12, 49, "64x64 lut bits=2");
  EXPECT_EQ(out.str(), "12/49 64x64 lut bits=2\n");
}

TEST(ProgressBar, DrawsNothingWhereThereIsNoTerminal) {
  std::ostringstream out;
  {
    ProgressBar bar(out, /*is_terminal=*/false);
    bar.Update(Running(0.5));
  }
  EXPECT_EQ(out.str(), "");
}

TEST(ProgressBar, LeavesAnEmptyLineBehind) {
  std::ostringstream out;
  {
    ProgressBar bar(out, /*is_terminal=*/true);
    bar.Update(Running(0.5));
  }
  EXPECT_TRUE(out.str().starts_with("\r\x1b[Kquantize w2"));
  EXPECT_TRUE(out.str().ends_with("\r\x1b[K"));
}

}  // namespace
}  // namespace qtipd
