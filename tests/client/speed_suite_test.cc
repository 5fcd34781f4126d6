#include "client/speed_suite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "kernels/api/error.h"
#include "tests/client/fake_daemon.h"
#include "tests/client/sample_suites.h"
#include "tests/fakes/temp_dir.h"

namespace qtipd {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Two cases, measured twice each: benchmarks 0 and 1, 2 and 3.
class SpeedSuite : public ::testing::Test {
 protected:
  absl::StatusOr<int> Run(const Suite& suite = SampleSuite(), bool is_resuming = false) {
    GlobalOptions options;
    options.targets = {daemon_.target()};
    out_.str("");
    err_.str("");
    Session session(options, out_, err_);
    return RunSpeedSuite(session, suite, {}, out_folder_.string(), is_resuming);
  }
  absl::StatusOr<int> Resume(const Suite& suite = SampleSuite()) { return Run(suite, true); }

  std::filesystem::path File(const std::string& name) const {
    return out_folder_ / "Some_GPU" / "sample" / name;
  }
  nlohmann::json Record() const {
    return nlohmann::json::parse(std::ifstream(File("runs.json")), nullptr, false);
  }
  std::vector<std::string> RunIds() const {
    std::vector<std::string> ids;
    const nlohmann::json record = Record();
    for (const auto& run : record["runs"]) ids.push_back(run["id"]);
    return ids;
  }

  FakeDaemon daemon_;
  std::ostringstream out_;
  std::ostringstream err_;
  const TempDir directory_;
  const std::filesystem::path out_folder_ = directory_.path();
};

absl::Status Stopping() {
  return MakeError(absl::StatusCode::kUnavailable, "SERVER_DRAINING", "the daemon stops");
}

TEST_F(SpeedSuite, MeasuresWritesAndPrintsEveryCase) {
  const absl::StatusOr<int> code = Run();
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(*code, kExitDone);
  EXPECT_EQ(daemon_.benchmarks, 4);
  EXPECT_EQ(Record()["partial"], false);
  EXPECT_EQ(RunIds(), (std::vector<std::string>{"0", "1", "2", "3"}));
  EXPECT_THAT(out_.str(), StartsWith("shape "));
  EXPECT_THAT(out_.str(), HasSubstr("runs.json"));
}

TEST_F(SpeedSuite, KeepsAndPrintsWhatItHadWhenTheDaemonStops) {
  daemon_.failures[3] = Stopping();
  const absl::StatusOr<int> code = Run();
  EXPECT_EQ(GetErrorInfo(code.status()).reason, "SERVER_DRAINING");
  EXPECT_THAT(out_.str(), StartsWith("Partial: 1 of 2 cases were finished, until SERVER_DRAINING"));
  EXPECT_THAT(out_.str(), HasSubstr("4096x4096"));
  EXPECT_EQ(Record()["partial"], true);
  EXPECT_EQ(Record()["finished"], 1);
  EXPECT_EQ(Record()["endedBy"]["details"][0]["reason"], "SERVER_DRAINING");
  EXPECT_EQ(RunIds(), (std::vector<std::string>{"0", "1", "2"})) << "of a case that was begun too";
}

TEST_F(SpeedSuite, WritesAfterEveryCase) {
  std::vector<bool> is_there;
  daemon_.on_benchmark = [&](int) {
    is_there.push_back(std::filesystem::exists(File("runs.json")));
  };
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(is_there, (std::vector<bool>{false, false, true, true}));
}

TEST_F(SpeedSuite, EndsAtAnInterruptBetweenTwoOperations) {
  daemon_.on_benchmark = [](int number) {
    if (number == 1) raise(SIGINT);
  };
  EXPECT_EQ(GetErrorInfo(Run().status()).reason, "INTERRUPTED_BY_USER");
  EXPECT_EQ(daemon_.benchmarks, 2);
  EXPECT_EQ(Record()["finished"], 1);
}

TEST_F(SpeedSuite, LeavesNoFilesWhereNothingWasMeasured) {
  daemon_.failures[0] = Stopping();
  EXPECT_EQ(GetErrorInfo(Run().status()).reason, "SERVER_DRAINING");
  EXPECT_EQ(out_.str(), "");
  EXPECT_TRUE(std::filesystem::is_empty(out_folder_));
}

TEST_F(SpeedSuite, ResumesWithTheRunThatIsMissing) {
  daemon_.failures[3] = Stopping();
  ASSERT_FALSE(Run().ok());
  const absl::StatusOr<int> code = Resume();
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(*code, kExitDone);
  EXPECT_EQ(RunIds(), (std::vector<std::string>{"0", "1", "2", "4"}));
  EXPECT_EQ(Record()["partial"], false);
  EXPECT_THAT(out_.str(), Not(HasSubstr("Partial")));
}

TEST_F(SpeedSuite, ResumesAWholeOneWithoutMeasuring) {
  ASSERT_TRUE(Run().ok());
  const absl::StatusOr<int> code = Resume();
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(daemon_.benchmarks, 4);
}

TEST_F(SpeedSuite, ResumesNothingOfAnotherBuild) {
  ASSERT_TRUE(Run().ok());
  daemon_.commit = "ffffffffffff";
  const absl::Status status = Resume().status();
  EXPECT_EQ(GetErrorInfo(status).reason, "SUITE_NOT_RESUMABLE");
  EXPECT_THAT(std::string(status.message()), HasSubstr("daemonCommit"));
  EXPECT_EQ(RunIds().size(), 4u) << "the file is as it was";
}

TEST_F(SpeedSuite, SaysThatThereIsNothingToResume) {
  ASSERT_TRUE(Resume().ok());
  EXPECT_THAT(err_.str(), HasSubstr("runs.json is not there: every case is measured\n"));
  EXPECT_EQ(daemon_.benchmarks, 4);
}

TEST_F(SpeedSuite, GoesOnAfterACaseThatIsRefused) {
  daemon_.failures[0] = InvalidField("SHAPE_UNSUPPORTED", "bits", "2", "3");
  const absl::StatusOr<int> code = Run();
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(*code, kExitInconclusive);
  EXPECT_THAT(err_.str(), HasSubstr("4096x4096 qtip bits=2 was not measured: SHAPE_UNSUPPORTED"));
  EXPECT_EQ(Record()["partial"], false);
  EXPECT_EQ(RunIds().size(), 2u);
}

TEST_F(SpeedSuite, ReadsTheSharesOfThePeakAndKeepsThem) {
  const Suite suite = SampleSuite(SpeedReport::kTinyGemm);
  ASSERT_TRUE(Run(suite).ok());
  const auto shares = Record()["cases"][0]["shares"];
  ASSERT_EQ(shares.size(), 2u);
  EXPECT_EQ(shares[1]["path"], "fused");
  EXPECT_EQ(shares[1]["memory"], 0.75);
}

TEST_F(SpeedSuite, GoesOnWithoutSharesThatAreRefused) {
  daemon_.profile_failure =
      MakeError(absl::StatusCode::kPermissionDenied, "PROFILING_NOT_PERMITTED", "no");
  ASSERT_TRUE(Run(SampleSuite(SpeedReport::kTinyGemm)).ok());
  EXPECT_THAT(err_.str(), HasSubstr("no shares of the peak: PROFILING_NOT_PERMITTED"));
}

TEST_F(SpeedSuite, EndsWhereReadingTheSharesIsInterrupted) {
  const Suite suite = SampleSuite(SpeedReport::kTinyGemm);
  daemon_.profile_failure =
      MakeError(absl::StatusCode::kCancelled, "INTERRUPTED_BY_USER", "got an interrupt");
  EXPECT_EQ(GetErrorInfo(Run(suite).status()).reason, "INTERRUPTED_BY_USER");
  EXPECT_EQ(Record()["finished"], 0) << "its shares are missing";
  EXPECT_EQ(RunIds().size(), 2u);
  daemon_.profile_failure = absl::OkStatus();
  ASSERT_TRUE(Resume(suite).ok());
  EXPECT_EQ(daemon_.benchmarks, 4);
  EXPECT_EQ(Record()["cases"][0]["shares"].size(), 2u);
}

}  // namespace
}  // namespace qtipd
