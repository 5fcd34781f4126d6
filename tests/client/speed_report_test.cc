#include "client/speed_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "kernels/api/error.h"
#include "tests/client/sample_suites.h"
#include "tests/fakes/temp_dir.h"

namespace qtipd {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Read(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class SpeedFiles : public ::testing::Test {
 protected:
  // What is in a file of `record`.
  std::string Written(const SpeedRecord& record, const std::string& name) {
    const auto files = WriteSpeedFiles(record, folder_);
    EXPECT_TRUE(files.ok()) << files.status();
    return Read(folder_ / name);
  }
  const TempDir directory_;
  const std::filesystem::path folder_ = directory_.path();
};

TEST_F(SpeedFiles, SayHowFarASuiteCame) {
  SpeedRecord record = SampleRecord();
  MeasureSample(record.results[0]);
  EXPECT_THAT(Written(record, "report.md"),
              StartsWith("Partial: 1 of 2 cases were finished when this was written. The same "
                         "command with --resume measures the rest.\n\n| shape |"));
  EXPECT_EQ(nlohmann::json::parse(Written(record, "runs.json"))["partial"], true);
}

TEST_F(SpeedFiles, SayWhyItEndedAndWhatWasBegun) {
  SpeedRecord record = SampleRecord();
  MeasureSample(record.results[0]);
  MeasureSample(record.results[1], /*runs=*/1);
  record.end = MakeError(absl::StatusCode::kUnavailable, "SERVER_DRAINING", "it stops");
  EXPECT_THAT(Written(record, "report.md"),
              StartsWith("Partial: 1 of 2 cases were finished, until SERVER_DRAINING: it stops; 1 "
                         "of 2 runs of '4096x4096 qtip bits=3' are in it. "));
}

TEST_F(SpeedFiles, OfAWholeSuiteBeginWithItsTable) {
  SpeedRecord record = SampleRecord();
  for (SpeedResult& result : record.results) MeasureSample(result);
  EXPECT_THAT(Written(record, "report.md"), StartsWith("| shape |"));
  EXPECT_EQ(nlohmann::json::parse(Written(record, "runs.json"))["partial"], false);
}

TEST_F(SpeedFiles, OfASweepHaveARowForACaseThatWasNotReached) {
  SpeedRecord record = SampleRecord(SampleSuite(SpeedReport::kSweep));
  MeasureSample(record.results[0]);
  const std::string cases = Written(record, "cases.csv");
  EXPECT_EQ(std::ranges::count(cases, '\n'), 3);
  EXPECT_THAT(cases, HasSubstr("\nqtip,bits=3,normal,4096,4096,1,,,,,"));
}

TEST_F(SpeedFiles, SayWhereTheyCannotBe) {
  EXPECT_EQ(GetErrorInfo(WriteSpeedFiles(SampleRecord(), "/dev/null/results").status()).reason,
            "FILE_NOT_WRITABLE");
}

}  // namespace
}  // namespace qtipd
