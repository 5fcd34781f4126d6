#include "client/run_view.h"

#include <gtest/gtest.h>

#include "tests/client/sample_runs.h"

namespace qtipd {
namespace {

// The cell of a row under a column's CSV key.
Cell At(const Table& table, size_t row, const std::string& key) {
  for (size_t c = 0; c < table.columns().size(); ++c) {
    if (table.columns()[c].key == key) return table.rows()[row][c];
  }
  ADD_FAILURE() << "no column " << key;
  return Absent();
}

TEST(ResultTable, ShowsEveryPathInOneUnit) {
  const Table table = ResultTable({SampleRun("w2", 2)});
  ASSERT_EQ(table.rows().size(), 3u);
  EXPECT_EQ(table.columns()[5].header, "median µs");
  EXPECT_EQ(At(table, 0, "median_seconds").text, "20.00");
  EXPECT_EQ(At(table, 2, "median_seconds").text, "5.000");
  EXPECT_EQ(At(table, 2, "median_seconds").raw, "5e-06");
  EXPECT_EQ(At(table, 2, "samples").text, "3");
  EXPECT_EQ(At(table, 2, "stop_reason").text, "CONVERGED");
}

TEST(ResultTable, ComparesWithDenseOfTheSameBatch) {
  const Table table = ResultTable({SampleRun("w2", 2)});
  EXPECT_EQ(At(table, 0, "speedup_over_dense").text, "1.00x");
  EXPECT_EQ(At(table, 2, "speedup_over_dense").text, "4.00x");
}

TEST(ResultTable, LeavesTheSpeedupOutWithoutDense) {
  v1::Run run = SampleRun("w2", 2);
  run.mutable_results()->DeleteSubrange(0, 1);
  EXPECT_EQ(At(ResultTable({run}), 1, "speedup_over_dense").raw, "");
}

TEST(ResultTable, GivesTheIntervalAsAFractionOfTheMedian) {
  EXPECT_EQ(At(ResultTable({SampleRun("w2", 2)}), 2, "relative_half_width").text, "1.0 %");
}

TEST(ResultTable, LeavesTheQualityOfAnImportEmpty) {
  v1::Run run = SampleRun("w2", 2);
  run.clear_quality();
  EXPECT_EQ(At(ResultTable({run}), 0, "relative_weight_mse").raw, "");
}

TEST(ResultTable, NamesTheReasonOfACellThatWasNotMeasured) {
  v1::Run run = SampleRun("w2", 2);
  *run.mutable_results(2)->mutable_error() = CellError();
  const Table table = ResultTable({run});
  EXPECT_EQ(At(table, 2, "median_seconds").raw, "");
  EXPECT_EQ(At(table, 2, "stop_reason").text, "BATCH_UNSUPPORTED");
}

TEST(StepTable, KeepsEachPathsOrderAndLeavesForeignStepsEmpty) {
  const Table table = StepTable({SampleRun("w2", 2)});
  std::vector<std::string> keys;
  for (const Column& column : table.columns()) keys.push_back(column.key);
  EXPECT_EQ(keys,
            (std::vector<std::string>{"artifact", "path", "batch", "input_rotation_seconds",
                                      "fused_decode_seconds", "output_rotation_seconds",
                                      "output_scale_seconds", "decode_seconds", "gemv_seconds"}));
  EXPECT_EQ(At(table, 0, "fused_decode_seconds").raw, "");
  EXPECT_EQ(At(table, 1, "fused_decode_seconds").raw, "3e-06");
}

TEST(SampleTable, ListsEverySampleInOrder) {
  const Table table = SampleTable(SampleRun("w2", 2));
  EXPECT_EQ(table.rows().size(), 9u);
  EXPECT_EQ(At(table, 8, "sample").text, "2");
}

TEST(RunTable, ListsPathsOnce) {
  const Table table = RunTable({SampleRun("w2", 2)});
  EXPECT_EQ(At(table, 0, "paths").text, "dense,dequant,fused");
  EXPECT_EQ(At(table, 0, "results").text, "3");
}

}  // namespace
}  // namespace qtipd
