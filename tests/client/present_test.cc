#include "client/present.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "client/rpc_status.h"
#include "tests/client/sample_profiles.h"
#include "tests/client/sample_runs.h"

namespace qtipd {
namespace {

class PresentTest : public ::testing::Test {
 protected:
  Session MakeSession(OutputFormat output) {
    GlobalOptions options;
    options.output = output;
    return Session(options, out_, err_);
  }
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(PresentTest, PrintsOneRunAsTheResourceItself) {
  Session session = MakeSession(OutputFormat::kJson);
  PresentRuns(session, {SampleRun("w2", 2)});
  const auto json = nlohmann::json::parse(out_.str());
  EXPECT_EQ(json["artifact"], "w2");
  EXPECT_EQ(json["results"][2]["latency"]["stopReason"], "CONVERGED");
  EXPECT_EQ(json["quality"]["relativeWeightMse"], 0.0714);
}

TEST_F(PresentTest, PrintsSeveralRunsAsAList) {
  Session session = MakeSession(OutputFormat::kJson);
  PresentRuns(session, {SampleRun("w2", 2), SampleRun("w3", 3)});
  EXPECT_EQ(nlohmann::json::parse(out_.str())["runs"].size(), 2u);
}

TEST_F(PresentTest, PrintsAProfileWithAllItsParts) {
  Session session = MakeSession(OutputFormat::kTable);
  PresentProfile(session, SampleProfile());
  const std::string text = out_.str();
  size_t position = 0;
  for (const char* part : {"dram__bytes_read.sum", "long_scoreboard", "the reasons sum to 100.0 %",
                           "LDG.E.128", "because long_scoreboard", "profile 3: w2", "6 passes"}) {
    position = text.find(part, position);
    ASSERT_NE(position, std::string::npos) << part << " in its place of\n" << text;
  }
}

TEST_F(PresentTest, PrintsAProfileForPrograms) {
  Session csv = MakeSession(OutputFormat::kCsv);
  PresentProfile(csv, SampleProfile());
  const std::string rows = out_.str();
  EXPECT_TRUE(rows.starts_with("metric,value,unit,per_run,description\n"));
  EXPECT_EQ(std::count(rows.begin(), rows.end(), '\n'), 7);
  out_.str("");
  Session json = MakeSession(OutputFormat::kJson);
  PresentProfile(json, SampleProfile());
  EXPECT_EQ(nlohmann::json::parse(out_.str())["stallReasons"][0]["reason"], "long_scoreboard");
}

TEST_F(PresentTest, PrintsCsvAsOneTable) {
  Session session = MakeSession(OutputFormat::kCsv);
  PresentRuns(session, {SampleRun("w2", 2)});
  const std::string text = out_.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4);
}

TEST_F(PresentTest, FindsNothingWrongInAGoodRun) {
  Session session = MakeSession(OutputFormat::kTable);
  EXPECT_EQ(JudgeRuns(session, {SampleRun("w2", 2)}), kExitDone);
  EXPECT_EQ(err_.str(), "");
}

TEST_F(PresentTest, FailsARunWhoseOutputIsTooFarOff) {
  v1::Run run = SampleRun("w2", 2);
  run.mutable_results(2)->set_relative_error(2e-3);
  Session session = MakeSession(OutputFormat::kTable);
  EXPECT_EQ(JudgeRuns(session, {run}), kExitCheckFailed);
  EXPECT_EQ(err_.str(),
            "error: OUTPUT_INACCURATE: w2 fused batch=1 relative_error: got 0.00200, allowed at "
            "most 0.00100\n");
}

TEST_F(PresentTest, NamesACellThatWasNotMeasured) {
  v1::Run run = SampleRun("w2", 2);
  *run.mutable_results(2)->mutable_error() = CellError();
  Session session = MakeSession(OutputFormat::kTable);
  EXPECT_EQ(JudgeRuns(session, {run}), kExitDone);
  EXPECT_EQ(
      err_.str(),
      "w2 fused batch=1 was not measured: BATCH_UNSUPPORTED: batch: got 64, allowed 1 to 8\n");
}

TEST_F(PresentTest, FailsARunInWhichNothingWasMeasured) {
  v1::Run run;
  *run.add_results()->mutable_error() = CellError();
  Session session = MakeSession(OutputFormat::kTable);
  EXPECT_EQ(JudgeRuns(session, {run}), kExitError);
}

}  // namespace
}  // namespace qtipd
