#include "client/profile_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/sample_profiles.h"

namespace qtipd {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The first row whose first cell is `name`, under a column's CSV key.
Cell At(const Table& table, const std::string& name, const std::string& key) {
  for (const auto& row : table.rows()) {
    if (row[0].text != name) continue;
    for (size_t c = 0; c < row.size(); ++c) {
      if (table.columns()[c].key == key) return row[c];
    }
  }
  ADD_FAILURE() << "no " << key << " of " << name;
  return Absent();
}

TEST(MetricTable, HasTotalsOfOneRunBesideTheirValue) {
  const Table table = MetricTable(SampleProfile(), false);
  ASSERT_EQ(table.rows().size(), 3u);
  EXPECT_EQ(At(table, "dram__bytes_read.sum", "per_run").text, "4.00 MiB");
  EXPECT_EQ(At(table, "dram__bytes_read.sum", "per_run").raw, "4194304");
  EXPECT_EQ(At(table, "dram__bytes_read.sum", "unit").text, "bytes");
  EXPECT_EQ(At(table, "gpu__time_duration.sum", "per_run").text, "6.00 µs");
  EXPECT_EQ(At(table, "lts__t_sector_hit_rate.pct", "value").raw, "12.5");
  EXPECT_EQ(At(table, "lts__t_sector_hit_rate.pct", "per_run").raw, "");
}

TEST(MetricTable, TakesStallReasonsInWhereAskedTo) {
  EXPECT_EQ(MetricTable(SampleProfile(), true).rows().size(), 6u);
}

TEST(MetricTable, EveryCounterOfACpuIsATotal) {
  EXPECT_EQ(At(MetricTable(CpuProfile(), false), "cycles", "per_run").raw, "100");
}

TEST(StallTable, ShowsSharesThatSumTo100) {
  const v1::Profile profile = SampleProfile();
  const Table table = StallTable(profile);
  EXPECT_EQ(At(table, "long_scoreboard", "percent").text, "55.25 %");
  EXPECT_EQ(At(table, "wait", "meaning").text, "meaning of wait");
  EXPECT_DOUBLE_EQ(StallSum(profile), 100);
}

TEST(InstructionTable, NamesTheReasonsThatHoldAnInstructionUpMost) {
  const v1::Profile profile = SampleProfile();
  const Table table = InstructionTable(profile);
  EXPECT_EQ(At(table, "50", "stalls").text, "long_scoreboard 80 %, wait 10 %, barrier 8.0 %");
  EXPECT_EQ(At(table, "50", "share").text, "25 %");
  EXPECT_EQ(At(table, "50", "instruction").text, "LDG.E.128 R4, [R2]");
  EXPECT_EQ(At(table, "50", "offset_bytes").text, "0x01a0");
  EXPECT_EQ(At(table, "50", "offset_bytes").raw, "416");
}

TEST(InstructionTable, LacksTheTextWhereThereIsNoDisassembler) {
  v1::Profile profile = SampleProfile();
  profile.mutable_hot_instructions(0)->clear_text();
  EXPECT_EQ(At(InstructionTable(profile), "50", "instruction").text, "-");
}

TEST(BottleneckText, PrintsEachRuleWithItsNumbers) {
  EXPECT_EQ(BottleneckText(SampleProfile()),
            "memory_latency: Memory latency is the limit.\n"
            "    because long_scoreboard 55.2 % (at least 30) and DRAM throughput 41.0 % (below "
            "60)\n");
  EXPECT_THAT(BottleneckText(CpuProfile()), HasSubstr("no rule fired"));
}

TEST(ProfileTitle, SaysWhatWasProfiledAndHow) {
  v1::Profile profile = SampleProfile();
  profile.set_step("fused_decode");
  EXPECT_EQ(ProfileTitle(profile),
            "profile 3: w2 qtip/hyb 2 bits 4096x2048, path fused, step fused_decode, batch 1, on "
            "cuda:0, NVIDIA H200 (GH100)");
  EXPECT_EQ(ProfileMethod(profile),
            "preset full: 6 metrics in 6 passes of 320 runs over 80 copies of the weights, by "
            "cupti in 700 ms");
  EXPECT_THAT(ProfileTitle(CpuProfile()), Not(HasSubstr("(AMD")));
}

TEST(ProfileDetails, NamesWhatCouldNotBeCounted) {
  v1::Profile profile = SampleProfile();
  profile.add_unavailable_metrics("a.sum");
  profile.add_unavailable_metrics("b.sum");
  const Table table = ProfileDetails(profile);
  EXPECT_EQ(At(table, "not counted", "value").text, "a.sum, b.sum");
  EXPECT_EQ(At(table, "environment: driver_version", "value").text, "580.1");
}

TEST(ProfileTable, HasOneRowEach) {
  const Table table = ProfileTable({SampleProfile(), CpuProfile()});
  EXPECT_EQ(At(table, "3", "passes").text, "6");
  EXPECT_EQ(At(table, "4", "source").text, "perf_event");
  EXPECT_EQ(At(table, "3", "step").raw, "");
}

}  // namespace
}  // namespace qtipd
