#include "client/distortion.h"

#include <gtest/gtest.h>

#include "client/rpc_status.h"

namespace qtipd {
namespace {

DistortionResult Result(std::vector<double> errors, double published,
                        std::optional<double> published_error = std::nullopt) {
  DistortionResult result;
  result.cell.options["code"].set_text("1mad");
  result.cell.published = published;
  result.cell.published_error = published_error;
  result.errors = std::move(errors);
  return result;
}

TEST(Distortion, IsTheMeanWithItsStandardError) {
  const DistortionResult result = Result({0.06, 0.07, 0.08, 0.07}, 0.07);
  EXPECT_DOUBLE_EQ(DistortionError(result), 0.07);
  EXPECT_NEAR(DistortionStandardError(result), std::sqrt(0.0002 / 3 / 4), 1e-12);
}

TEST(Distortion, ReproducesWithinOnePercent) {
  EXPECT_EQ(JudgeDistortion(Result({0.0706, 0.0706}, 0.07)), DistortionVerdict::kReproduced);
  EXPECT_EQ(JudgeDistortion(Result({0.0708, 0.0708}, 0.07)), DistortionVerdict::kWorse);
  EXPECT_EQ(JudgeDistortion(Result({0.0692, 0.0692}, 0.07)), DistortionVerdict::kBetter);
}

TEST(Distortion, ReproducesWithinTwoCombinedStandardErrors) {
  // Standard error 0.001: 0.002 sqrt(2) above is allowed where the published one is as large.
  EXPECT_EQ(JudgeDistortion(Result({0.0717, 0.0737}, 0.07)), DistortionVerdict::kReproduced);
  EXPECT_EQ(JudgeDistortion(Result({0.0717, 0.0737}, 0.07, 0.0001)), DistortionVerdict::kWorse);
}

TEST(Distortion, FailsIfACellIsWorse) {
  const DistortionResult good = Result({0.07, 0.07}, 0.07), worse = Result({0.08, 0.08}, 0.07);
  const DistortionResult absent = Result({}, 0.07);
  EXPECT_EQ(DistortionExitCode({good}), kExitDone);
  EXPECT_EQ(DistortionExitCode({good, absent}), kExitInconclusive);
  EXPECT_EQ(DistortionExitCode({absent, worse, good}), kExitCheckFailed);
}

TEST(Distortion, ShowsACellThatWasNotMeasured) {
  const Table table = DistortionTable({Result({}, 0.07), Result({0.07, 0.07}, 0.07, 0.0001)});
  ASSERT_EQ(table.rows().size(), 2u);
  EXPECT_EQ(table.rows()[0][0].text, "code=1mad");
  EXPECT_EQ(table.rows()[0][1].raw, "");
  EXPECT_EQ(table.rows()[0].back().text, "not measured");
  EXPECT_EQ(table.rows()[1].back().text, "reproduced");
  EXPECT_EQ(table.rows()[1][5].raw, "1");
}

}  // namespace
}  // namespace qtipd
