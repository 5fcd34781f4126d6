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

TEST(ResultTable, HasWarningsOnlyWhereThereAreAny) {
  v1::Run run = SampleRun("w2", 2);
  const size_t columns = ResultTable({run}).columns().size();
  run.mutable_results(2)->add_warnings("THROTTLED");
  run.mutable_results(2)->add_warnings("UNSTABLE");
  const Table table = ResultTable({run});
  EXPECT_EQ(table.columns().size(), columns + 1);
  EXPECT_EQ(At(table, 2, "warnings").text, "THROTTLED UNSTABLE");
  EXPECT_EQ(At(table, 0, "warnings").raw, "");
  EXPECT_EQ(At(table, 2, "stop_reason").raw, "CONVERGED");
}

TEST(ResultTable, HasActivationsOnlyWhereTheyAreNotOfTheComputeDType) {
  v1::Run run = SampleRun("w2", 2);
  (*run.mutable_environment())["compute_dtype"] = "F16";
  for (v1::BenchmarkResult& result : *run.mutable_results()) result.set_activation_dtype("F16");
  const size_t columns = ResultTable({run}).columns().size();
  EXPECT_EQ(columns, ResultTable({SampleRun("w2", 2)}).columns().size());
  v1::Run other = run;
  for (v1::BenchmarkResult& result : *other.mutable_results()) result.set_activation_dtype("BF16");
  const Table table = ResultTable({run, other});
  EXPECT_EQ(table.columns().size(), columns + 1);
  EXPECT_EQ(At(table, 0, "activation_dtype").text, "F16");
  EXPECT_EQ(At(table, 3, "activation_dtype").text, "BF16");
  EXPECT_EQ(At(table, 3, "batch").text, "1");
  EXPECT_EQ(At(table, 3, "cache_mode").text, "rotate");
}

// The value of a fact, "" where it is not there.
std::string Fact(const Table& table, const std::string& name) {
  for (const std::vector<Cell>& row : table.rows()) {
    if (row[0].text == name) return row[1].text;
  }
  return "";
}

TEST(RunDetails, TellsWhatTheDeviceWasLike) {
  v1::Run run = SampleRun("w2", 2);
  v1::BenchmarkResult& result = *run.mutable_results(2);
  result.add_warnings("FOREIGN_WORK");
  v1::Conditions& conditions = *result.mutable_conditions();
  conditions.set_clock_hertz(1.755e9);
  conditions.set_clock_hertz_minimum(1.74e9);
  conditions.set_clock_hertz_maximum(1.77e9);
  conditions.set_clock_policy("locked");
  conditions.set_temperature_begin_celsius(41);
  conditions.set_temperature_end_celsius(45);
  conditions.set_power_watts(431.2);
  conditions.set_joules_per_run(0.00123);
  conditions.add_clock_events("SW_POWER_CAP");
  conditions.set_throttled_samples(3);
  conditions.set_retaken_samples(20);
  conditions.add_foreign_work("pid 12 python3 512 MiB");
  result.set_comparability_key("device=X; path=fused");
  const Table table = RunDetails(run);
  EXPECT_EQ(Fact(table, "fused batch=1: warnings"), "FOREIGN_WORK");
  EXPECT_EQ(Fact(table, "fused batch=1: clock"), "1755 MHz (1740 to 1770), policy locked");
  EXPECT_EQ(Fact(table, "fused batch=1: temperature"), "41.0 to 45.0 °C");
  EXPECT_EQ(Fact(table, "fused batch=1: power"), "431.2 W");
  EXPECT_EQ(Fact(table, "fused batch=1: energy of a run"), "1.230 mJ");
  EXPECT_EQ(Fact(table, "fused batch=1: clock events"), "SW_POWER_CAP");
  EXPECT_EQ(Fact(table, "fused batch=1: throttled samples"), "3 kept, 20 taken again");
  EXPECT_EQ(Fact(table, "fused batch=1: foreign work"), "pid 12 python3 512 MiB");
  EXPECT_EQ(Fact(table, "fused batch=1: comparability key"), "device=X; path=fused");
}

TEST(RunDetails, TellsWhereTheTimeGoes) {
  v1::Run run = SampleRun("w2", 2);
  v1::BenchmarkResult& result = *run.mutable_results(2);
  result.mutable_roofline()->set_limit("bandwidth");
  result.mutable_roofline()->set_fraction(0.5);
  (*result.mutable_roofline()->mutable_limit_seconds())["bandwidth"] = 2.5e-6;
  (*result.mutable_roofline()->mutable_limit_seconds())["launch"] = 1e-6;
  result.set_packed_read_seconds(2e-6);
  result.mutable_phases()->set_kernel_seconds(4e-6);
  v1::Phase& phase = *result.mutable_phases()->add_phases();
  phase.set_name("decode");
  phase.set_seconds(3e-6);
  phase.set_fraction(0.75);
  result.mutable_latency()->set_replay_overhead_seconds(1.5e-6);
  const Table table = RunDetails(run);
  EXPECT_EQ(Fact(table, "fused batch=1: roofline"),
            "50 % of the bandwidth limit (bandwidth 2.50 µs, launch 1.00 µs)");
  EXPECT_EQ(Fact(table, "fused batch=1: bare read of the weights"), "2.00 µs");
  EXPECT_EQ(Fact(table, "fused batch=1: phases"), "kernel 4.00 µs: decode 3.00 µs (75 %)");
  EXPECT_EQ(Fact(table, "fused batch=1: empty replay"), "1.50 µs");
}

TEST(RunDetails, GivesHighPercentilesWhereTheyAre) {
  v1::Run run = SampleRun("w2", 2);
  EXPECT_EQ(Fact(RunDetails(run), "fused batch=1: distribution").find("p95"), std::string::npos);
  run.mutable_results(2)->mutable_latency()->set_p95(6e-6);
  EXPECT_NE(Fact(RunDetails(run), "fused batch=1: distribution").find("p95 6.00 µs"),
            std::string::npos);
}

TEST(RunDetails, LeavesOutWhatTheDeviceDoesNotTell) {
  const Table table = RunDetails(SampleRun("w2", 2));
  for (const char* fact : {"warnings", "clock", "temperature", "power", "energy of a run",
                           "throttled samples", "roofline", "phases", "empty replay"}) {
    EXPECT_EQ(Fact(table, std::string("fused batch=1: ") + fact), "") << fact;
  }
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
