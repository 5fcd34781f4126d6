#include "client/sweep_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/frontier.h"
#include "client/published_findings.h"
#include "kernels/api/error.h"
#include "tests/client/sample_runs.h"

namespace qtipd {
namespace {

using ::testing::HasSubstr;

// A case of `out` outputs and 4096 inputs at batch 1, whose run has dense 20 us, dequant 40 us
// (decode 25, gemv 15) and fused as given.
SpeedResult ResultOf(int64_t out, double fused, double bits = 4.25, double error = 0.01) {
  SpeedResult result;
  result.speed_case.format = "int4";
  result.speed_case.shape.set_out_features(out);
  result.speed_case.shape.set_in_features(4096);
  result.speed_case.options["group_size"].set_integer(static_cast<int64_t>(out / 32));
  result.speed_case.batches = {1};
  result.runs = {SampleRun("a", 4)};
  result.runs[0].mutable_results(2)->mutable_latency()->set_median(fused);
  result.artifact.set_bits_per_weight(bits);
  result.artifact.mutable_quality()->set_relative_weight_mse(error);
  result.artifact.mutable_quality()->set_output_mse(4);
  return result;
}

std::string At(const Table& table, size_t row, const std::string& key) {
  for (size_t i = 0; i < table.columns().size(); ++i) {
    if (table.columns()[i].key == key) return table.rows().at(row)[i].raw;
  }
  return "no column " + key;
}

TEST(SweepTable, HasSizeErrorAndSpeed) {
  const Table table = SweepTable({ResultOf(4096, 5e-6)});
  EXPECT_EQ(At(table, 0, "bits_per_weight"), "4.25");
  EXPECT_EQ(At(table, 0, "relative_weight_mse"), "0.01");
  EXPECT_EQ(At(table, 0, "output_rmse"), "2") << "the root of the outputs' mean squared error";
  EXPECT_EQ(At(table, 0, "decode_seconds"), "2.5e-05");
  EXPECT_EQ(At(table, 0, "multiply_seconds"), "1.5e-05");
  EXPECT_EQ(At(table, 0, "dequant_speedup"), "0.5");
  EXPECT_EQ(At(table, 0, "fused_speedup"), "4");
  EXPECT_EQ(At(table, 0, "fused_as"), "fused");
  EXPECT_EQ(At(table, 0, "distribution"), "normal");
}

TEST(SweepTable, HasActivationsOnlyWhereACaseAsksForThem) {
  SpeedResult cast = ResultOf(4096, 5e-6);
  cast.speed_case.activations = "BF16";
  cast.runs[0].mutable_results(0)->set_activation_dtype("BF16");
  for (const Table& table : {SweepTable({cast}), SweepRecords({cast})}) {
    EXPECT_EQ(At(table, 0, "activation_dtype"), "BF16");
    EXPECT_EQ(At(table, 0, "batch"), "1");
    EXPECT_EQ(At(table, 0, "bits_per_weight"), "4.25");
  }
  EXPECT_EQ(At(SweepTable({ResultOf(4096, 5e-6)}), 0, "activation_dtype"),
            "no column activation_dtype");
}

TEST(SweepTable, SaysWhyACaseHasNoFigures) {
  SpeedResult result = ResultOf(4096, 5e-6);
  result.runs.clear();
  result.artifact.Clear();
  result.status = InvalidField("SHAPE_UNSUPPORTED", "group_size", "96", "32, 64");
  const Table table = SweepTable({result});
  EXPECT_EQ(At(table, 0, "problem"), "SHAPE_UNSUPPORTED");
  EXPECT_EQ(At(table, 0, "bits_per_weight"), "");
  EXPECT_EQ(At(table, 0, "fused_seconds"), "");
}

TEST(SweepRecords, AreJsonLinesWithNumbersAndNulls) {
  SpeedResult result = ResultOf(4096, 5e-6);
  result.shares[{"fused", 1}] = {.compute = 0.5, .memory = 0.25};
  const std::string lines = JsonLines(SweepRecords({result, ResultOf(1024, 4e-6)}));
  const size_t end = lines.find('\n');
  const auto first = nlohmann::json::parse(lines.substr(0, end));
  EXPECT_EQ(first["out_features"], 4096);
  EXPECT_EQ(first["fused_seconds"], 5e-6);
  EXPECT_EQ(first["options"], "group_size=128");
  EXPECT_EQ(first["fused_compute_share"], 0.5);
  EXPECT_TRUE(first["dense_compute_share"].is_null());
  EXPECT_TRUE(first["problem"].is_null());
  EXPECT_EQ(nlohmann::json::parse(lines.substr(end + 1))["out_features"], 1024);
}

TEST(PublishedFindings, AreJudgedByTheWidestAndTheNarrowestOutput) {
  SpeedResult narrow = ResultOf(1024, 25e-6);
  SpeedResult wide = ResultOf(14336, 5e-6);
  narrow.shares[{"dense", 1}] = wide.shares[{"dense", 1}] = {.compute = 0.2, .memory = 0.8};
  narrow.shares[{"fused", 1}] = wide.shares[{"fused", 1}] = {.compute = 0.6, .memory = 0.4};
  const Table table = PublishedFindingsTable({narrow, ResultOf(4096, 10e-6), wide});
  ASSERT_EQ(table.rows().size(), 3u);
  for (size_t row = 0; row < 3; ++row) EXPECT_EQ(At(table, row, "holds"), "yes") << row;
  EXPECT_EQ(At(table, 0, "figures"), "14336 outputs, fused over dense, batch 1: 4.00x");
  EXPECT_EQ(At(table, 1, "figures"), "1024 outputs, fused over dense, batch 1: 0.800x");
  EXPECT_THAT(At(table, 2, "figures"), HasSubstr("compute/memory 0.250 dense, 1.50 fused"));
}

TEST(PublishedFindings, AreAnsweredWithNoWhereTheFiguresSaySo) {
  SpeedResult narrow = ResultOf(1024, 10e-6);
  narrow.shares[{"dense", 1}] = {.compute = 0.4, .memory = 0.4};
  narrow.shares[{"fused", 1}] = {.compute = 0.3, .memory = 0.4};
  const Table table = PublishedFindingsTable({narrow, ResultOf(14336, 30e-6)});
  for (size_t row = 0; row < 3; ++row) EXPECT_EQ(At(table, row, "holds"), "no") << row;
}

TEST(PublishedFindings, AreLeftOpenWhereNothingWasMeasured) {
  SpeedResult result = ResultOf(1024, 10e-6);
  result.runs.clear();
  const Table table = PublishedFindingsTable({result});
  for (size_t row = 0; row < 3; ++row) EXPECT_EQ(At(table, row, "holds"), "not measured") << row;
  EXPECT_EQ(At(table, 2, "figures"), "this device gave no counters");
}

TEST(Frontier, NamesWhatBeatsACase) {
  const std::vector<SpeedResult> results = {ResultOf(4096, 5e-6, 4.25, 0.01),
                                            ResultOf(4096, 6e-6, 4.5, 0.02),
                                            ResultOf(4096, 7e-6, 8.25, 0.001)};
  std::vector<SpeedResult> named = results;
  named[1].speed_case.options["group_size"].set_integer(32);
  const Table table = FrontierTable(named);
  ASSERT_EQ(table.rows().size(), 3u);
  EXPECT_EQ(At(table, 0, "beaten_by"), "");
  EXPECT_EQ(At(table, 1, "beaten_by"), "int4 group_size=128");
  EXPECT_EQ(At(table, 2, "beaten_by"), "") << "slower and larger, but more exact";
}

TEST(Frontier, ComparesOnlyWhatHasTheSameShapeWeightsAndBatch) {
  SpeedResult heavy = ResultOf(4096, 6e-6, 4.5, 0.02);
  heavy.speed_case.distribution = "student_t5";
  const Table table = FrontierTable({ResultOf(4096, 5e-6), heavy, ResultOf(1024, 9e-6, 5, 0.5)});
  for (size_t row = 0; row < 3; ++row) EXPECT_EQ(At(table, row, "beaten_by"), "") << row;
  SpeedResult cast = ResultOf(4096, 6e-6, 4.5, 0.02);
  cast.speed_case.activations = "BF16";
  cast.runs[0].mutable_results(0)->set_activation_dtype("BF16");
  const Table both = FrontierTable({ResultOf(4096, 5e-6), cast});
  for (size_t row = 0; row < 2; ++row) EXPECT_EQ(At(both, row, "beaten_by"), "") << row;
  EXPECT_EQ(At(both, 1, "activation_dtype"), "BF16");
}

}  // namespace
}  // namespace qtipd
