#include "client/speed_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

using ::testing::ElementsAre;

absl::Status Failure(absl::StatusCode code) { return MakeError(code, "SOME_REASON", "it failed"); }

// Cases "a", "b", ... as formats; a daemon that measures one run of each, but for those that fail.
class SpeedLoop : public ::testing::Test {
 protected:
  void SetUp() override {
    measured_.clear();
    kept_.clear();
    results_ = std::vector<SpeedResult>(3);
    for (size_t i = 0; i < 3; ++i) results_[i].speed_case.format = std::string(1, 'a' + i);
  }
  absl::Status Run() {
    return MeasureCases(
        results_,
        [this](SpeedResult& result) {
          measured_.push_back(result.speed_case.format);
          const absl::Status failure = failures_[result.speed_case.format];
          if (failure.ok()) result.runs.emplace_back();
          return failure;
        },
        [this](const SpeedResult& result) {
          kept_.push_back(result.speed_case.format);
          return disk_;
        });
  }
  std::vector<SpeedResult> results_;
  std::map<std::string, absl::Status> failures_;
  absl::Status disk_;
  std::vector<std::string> measured_;
  std::vector<std::string> kept_;
};

TEST_F(SpeedLoop, KeepsAfterEveryCase) {
  EXPECT_TRUE(Run().ok());
  EXPECT_THAT(measured_, ElementsAre("a", "b", "c"));
  EXPECT_THAT(kept_, ElementsAre("a", "b", "c"));
  for (const SpeedResult& result : results_) EXPECT_TRUE(result.is_finished);
}

TEST_F(SpeedLoop, GoesOnAfterACaseThatIsRefused) {
  failures_["b"] = Failure(absl::StatusCode::kUnimplemented);
  EXPECT_TRUE(Run().ok());
  EXPECT_THAT(kept_, ElementsAre("a", "b", "c"));
  EXPECT_TRUE(results_[1].is_finished);
  EXPECT_TRUE(absl::IsUnimplemented(results_[1].status));
}

TEST_F(SpeedLoop, EndsWithAnyOtherErrorAndKeepsWhatItHas) {
  for (const absl::StatusCode code :
       {absl::StatusCode::kCancelled, absl::StatusCode::kUnavailable, absl::StatusCode::kInternal,
        absl::StatusCode::kFailedPrecondition}) {
    SetUp();
    failures_["b"] = Failure(code);
    EXPECT_EQ(Run(), failures_["b"]);
    EXPECT_THAT(measured_, ElementsAre("a", "b"));
    EXPECT_TRUE(results_[0].is_finished);
    EXPECT_EQ(results_[0].runs.size(), 1u);
    EXPECT_FALSE(results_[1].is_finished);
    EXPECT_FALSE(results_[2].is_finished);
  }
}

TEST_F(SpeedLoop, EndsWhereNothingCanBeKept) {
  disk_ = Failure(absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Run(), disk_);
  EXPECT_THAT(measured_, ElementsAre("a"));
}

TEST_F(SpeedLoop, MeasuresOnlyWhatIsNotFinished) {
  results_[1].is_finished = true;
  EXPECT_TRUE(Run().ok());
  EXPECT_THAT(measured_, ElementsAre("a", "c"));
}

}  // namespace
}  // namespace qtipd
