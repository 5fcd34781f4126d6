#include "client/speed_table.h"

#include <gtest/gtest.h>

#include "tests/client/sample_runs.h"

namespace qtipd {
namespace {

// A run of batches 1 and 2 whose kernel takes `kernel` seconds by itself. At batch 2 the fused path
// is handed over.
v1::Run RunWithKernel(const std::string& id, double kernel) {
  v1::Run run = SampleRun("suite/kernels/4096x4096/bits-2_code-hyb", 2);
  run.set_id(id);
  run.mutable_results(2)->mutable_steps(1)->set_alone_seconds(kernel);
  run.mutable_results(2)->set_packed_read_seconds(2e-6);
  AddResult(run, "dense", 20e-6, {});
  AddResult(run, "dequant", 40e-6, {});
  AddResult(run, "fused", 41e-6, {{"decode", 20e-6}, {"gemv", 18e-6}});
  (*run.mutable_results(5)->mutable_notes())["inner_multiply"] = "dequant";
  for (int i = 3; i < 6; ++i) run.mutable_results(i)->set_batch(2);
  return run;
}

SpeedResult Result(std::vector<int64_t> batches = {1, 2}) {
  SpeedResult result;
  result.speed_case.shape.set_out_features(4096);
  result.speed_case.shape.set_in_features(4096);
  result.speed_case.options["code"].set_text("hyb");
  result.speed_case.options["bits"].set_integer(2);
  result.speed_case.batches = std::move(batches);
  result.runs = {RunWithKernel("a", 4.2e-6), RunWithKernel("b", 4e-6), RunWithKernel("c", 4.1e-6)};
  return result;
}

std::vector<std::string> Texts(const Table& table, size_t row) {
  std::vector<std::string> texts;
  for (const Cell& cell : table.rows().at(row)) texts.push_back(cell.text);
  return texts;
}

TEST(SpeedTable, HasTheMediansAndTheSpreadOfTheKernel) {
  const Table table = SpeedTable({Result()});
  EXPECT_EQ(Texts(table, 0),
            (std::vector<std::string>{"4096x4096", "hyb", "2", "1", "20.00", "40.00", "5.000",
                                      "4.00x", "4.100", "4.9 %", "4.88x", "2.000"}));
}

TEST(SpeedTable, TakesAStepOfThePathWhereTheKernelWasNotMeasuredByItself) {
  SpeedResult result = Result();
  for (v1::Run& run : result.runs) run.mutable_results(2)->mutable_steps(1)->clear_alone_seconds();
  EXPECT_EQ(SpeedTable({result}).rows().at(0)[8].text, "3.000");
}

TEST(SpeedTable, HasNoKernelWhereThePathHandedOver) {
  const std::vector<std::string> row = Texts(SpeedTable({Result()}), 1);
  EXPECT_EQ(row[6], "41.00");
  EXPECT_EQ(row[8], "-");
  EXPECT_EQ(row.back(), "-") << "no bare read";
}

TEST(SpeedTable, LeavesOutWhatWasNotMeasured) {
  const Table table = SpeedTable({Result({4})});
  EXPECT_EQ(Texts(table, 0), (std::vector<std::string>{"4096x4096", "hyb", "2", "4", "-", "-", "-",
                                                       "-", "-", "-", "-", "-"}));
}

TEST(SpeedTable, HasActivationsOnlyWhereACaseAsksForThem) {
  SpeedResult plain = Result({1});
  SpeedResult cast = Result({1});
  cast.speed_case.activations = "BF16";
  for (v1::Run& run : plain.runs) run.mutable_results(0)->set_activation_dtype("F16");
  for (v1::Run& run : cast.runs) run.mutable_results(0)->set_activation_dtype("BF16");
  EXPECT_EQ(Texts(SpeedTable({plain, cast}), 0)[3], "F16");
  EXPECT_EQ(Texts(SpeedTable({plain, cast}), 1)[3], "BF16");
  EXPECT_EQ(Texts(SpeedTable({plain, cast}), 1)[4], "1");
  EXPECT_EQ(SpeedRunsTable({cast}).columns()[3].key, "activation_dtype");
  EXPECT_EQ(SpeedTable({plain}).columns()[3].key, "batch");
}

TEST(SpeedRunsTable, HasEveryRunByItself) {
  const Table table = SpeedRunsTable({Result({1})});
  ASSERT_EQ(table.rows().size(), 3u);
  EXPECT_EQ(table.rows()[1][4].raw, "b");
  EXPECT_EQ(table.rows()[1][8].raw, "4e-06");
}

TEST(CrossoverTable, NamesTheFirstBatchThatIsHandedOver) {
  EXPECT_EQ(Texts(CrossoverTable({Result()}), 0).back(), "2");
  EXPECT_TRUE(CrossoverTable({Result({1})}).empty()) << "one batch has no crossover";
}

TEST(CrossoverTable, SaysThatThereIsNone) {
  SpeedResult result = Result();
  for (v1::Run& run : result.runs) run.mutable_results(5)->clear_notes();
  EXPECT_EQ(Texts(CrossoverTable({result}), 0).back(), "none to 2");
}

TEST(CrossoverTable, KnowsNothingOfACaseThatWasNotMeasured) {
  SpeedResult result = Result();
  result.runs.clear();
  EXPECT_EQ(Texts(CrossoverTable({result}), 0).back(), "-");
}

}  // namespace
}  // namespace qtipd
