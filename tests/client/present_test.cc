#include "client/present.h"

#include <gtest/gtest.h>

#include <sstream>

#include "client/rpc_status.h"
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
