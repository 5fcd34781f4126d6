#include "client/comparison.h"

#include <gtest/gtest.h>

#include "kernels/api/error.h"
#include "tests/client/sample_runs.h"

namespace qtipd {
namespace {

// Dense alone, whose median's interval is `width` of the median on either side.
v1::Run RunOf(double median, double width = 0.001) {
  v1::Run run;
  run.set_id("1");
  AddResult(run, "dense", median, {});
  v1::BenchmarkResult& result = *run.mutable_results(0);
  result.set_comparability_key("device=A; path=dense");
  result.mutable_latency()->set_ci_low(median * (1 - width));
  result.mutable_latency()->set_ci_high(median * (1 + width));
  result.mutable_latency()->set_stable(true);
  return run;
}

Verdict Judge(const v1::Run& baseline, const v1::Run& candidate) {
  const auto cases = CompareRuns(baseline, candidate, 0.01);
  EXPECT_TRUE(cases.ok()) << cases.status();
  return cases.ok() ? cases->at(0).verdict : Verdict::kSame;
}

TEST(CompareRuns, JudgesByThresholdAndIntervals) {
  EXPECT_EQ(Judge(RunOf(1), RunOf(1.009)), Verdict::kSame);
  EXPECT_EQ(Judge(RunOf(1), RunOf(1.02)), Verdict::kSlower);
  EXPECT_EQ(Judge(RunOf(1), RunOf(0.98)), Verdict::kFaster);
  EXPECT_EQ(Judge(RunOf(1, 0.02), RunOf(1.02, 0.02)), Verdict::kInconclusive);
}

TEST(CompareRuns, AnUnstableResultDecidesNothing) {
  v1::Run unstable = RunOf(2);
  unstable.mutable_results(0)->mutable_latency()->set_stable(false);
  EXPECT_EQ(Judge(RunOf(1), unstable), Verdict::kInconclusive);
  EXPECT_EQ(Judge(unstable, RunOf(1)), Verdict::kInconclusive);
}

TEST(CompareRuns, RefusesOtherConditionsAndNamesThem) {
  v1::Run other = RunOf(1);
  other.mutable_results(0)->set_comparability_key("device=B; path=dense");
  const absl::Status status = CompareRuns(RunOf(1), other, 0.01).status();
  EXPECT_EQ(GetErrorInfo(status).reason, "NOT_COMPARABLE");
  EXPECT_NE(std::string(status.message()).find("differs in device"), std::string::npos) << status;
}

TEST(CompareRuns, RefusesRunsWithoutACommonCase) {
  v1::Run other = RunOf(1);
  other.mutable_results(0)->set_batch(2);
  EXPECT_EQ(GetErrorInfo(CompareRuns(RunOf(1), other, 0.01).status()).reason, "NOT_COMPARABLE");
  v1::Run failed = RunOf(1);
  *failed.mutable_results(0)->mutable_error() = CellError();
  EXPECT_EQ(GetErrorInfo(CompareRuns(RunOf(1), failed, 0.01).status()).reason, "NOT_COMPARABLE");
}

TEST(CompareRuns, ACaseThatTheCandidateDidNotMeasureHasFailed) {
  v1::Run baseline = RunOf(1);
  AddResult(baseline, "fused", 1, {});
  v1::Run candidate = RunOf(1);
  const auto absent = CompareRuns(baseline, candidate, 0.01);
  ASSERT_EQ(absent->size(), 2u);
  EXPECT_EQ(absent->at(1).verdict, Verdict::kFailed);
  AddResult(candidate, "fused", 1, {});
  *candidate.mutable_results(1)->mutable_error() = CellError();
  EXPECT_EQ(CompareRuns(baseline, candidate, 0.01)->at(1).verdict, Verdict::kFailed);
  EXPECT_EQ(CompareRuns(candidate, baseline, 0.01)->at(1).verdict, Verdict::kInconclusive);
  EXPECT_EQ(ComparisonTable(*CompareRuns(baseline, candidate, 0.01)).rows()[1][8].text, "failed");
}

TEST(CompareRuns, RefusesRunsWithoutAKey) {
  v1::Run run = RunOf(1);
  run.mutable_results(0)->clear_comparability_key();
  EXPECT_EQ(GetErrorInfo(CompareRuns(run, run, 0.01).status()).reason, "NOT_COMPARABLE");
}

TEST(ComparisonTable, ShowsBothMediansInOneUnit) {
  const v1::Run baseline = RunOf(20e-6);
  const v1::Run candidate = RunOf(24e-6);
  const Table table = ComparisonTable(*CompareRuns(baseline, candidate, 0.01));
  ASSERT_EQ(table.rows().size(), 1u);
  EXPECT_EQ(table.columns()[3].header, "baseline µs");
  EXPECT_EQ(table.rows()[0][3].text, "20.00");
  EXPECT_EQ(table.rows()[0][5].text, "24.00");
  EXPECT_EQ(table.rows()[0][7].text, "+20 %");
  EXPECT_EQ(table.rows()[0][8].text, "slower");
}

}  // namespace
}  // namespace qtipd
