#include "server/engine/profile/bottleneck.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "server/engine/profile/stall_reasons.h"
#include "server/profiler/metric_presets.h"

namespace qtipd {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

std::string Stall(const std::string& reason) {
  return "smsp__warp_issue_stalled_" + reason + "_per_warp_active.pct";
}

std::vector<MetricValue> Metrics(const std::map<std::string, double>& values) {
  std::vector<MetricValue> metrics;
  for (const auto& [name, value] : values) metrics.push_back({name, value, "percent", "words"});
  return metrics;
}

std::vector<std::string> Fired(const std::map<std::string, double>& values) {
  std::vector<std::string> rules;
  for (const auto& finding : ExplainBottleneck(Metrics(values))) rules.push_back(finding.rule);
  return rules;
}

const std::string kDram = "dram__throughput.avg.pct_of_peak_sustained_elapsed";
const std::string kL2 = "lts__throughput.avg.pct_of_peak_sustained_elapsed";
const std::string kSm = "sm__throughput.avg.pct_of_peak_sustained_elapsed";
const std::string kIssue = "smsp__issue_active.avg.pct_of_peak_sustained_active";
const std::string kWarps = "sm__warps_active.avg.pct_of_peak_sustained_active";
const std::string kConflicts = "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_ld.sum";
const std::string kWavefronts = "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum";

// A rule, metrics at its bound that fire it, and the same just beside it that do not.
struct RuleCase {
  std::string rule;
  std::map<std::string, double> fires;
  std::map<std::string, double> is_silent;
};

std::vector<RuleCase> RuleCases() {
  return {
      {"memory_bandwidth", {{kDram, 60}}, {{kDram, 59.9}}},
      {"l2_bandwidth", {{kL2, 60}, {kDram, 59}}, {{kL2, 60}, {kDram, 60}}},
      {"memory_latency",
       {{Stall("long_scoreboard"), 30}, {kDram, 59}},
       {{Stall("long_scoreboard"), 30}, {kDram, 60}}},
      {"issue_rate", {{kIssue, 70}}, {{kIssue, 69}}},
      {"math_pipe", {{Stall("math_pipe_throttle"), 20}}, {{Stall("math_pipe_throttle"), 19}}},
      {"shared_memory",
       {{Stall("short_scoreboard"), 13}, {Stall("mio_throttle"), 12}},
       {{Stall("short_scoreboard"), 13}, {Stall("mio_throttle"), 11}}},
      {"bank_conflicts",
       {{kConflicts, 10}, {kWavefronts, 100}},
       {{kConflicts, 10}, {kWavefronts, 101}}},
      {"memory_queue", {{Stall("lg_throttle"), 10}}, {{Stall("lg_throttle"), 9}}},
      {"barriers", {{Stall("barrier"), 20}}, {{Stall("barrier"), 19}}},
      {"dispatch", {{Stall("dispatch_stall"), 10}}, {{Stall("dispatch_stall"), 9}}},
      {"fixed_latency", {{Stall("wait"), 25}}, {{Stall("wait"), 24}}},
      {"instruction_fetch", {{Stall("no_instruction"), 10}}, {{Stall("no_instruction"), 9}}},
      {"few_warps", {{kWarps, 24}, {kIssue, 39}}, {{kWarps, 24}, {kIssue, 40}}},
      {"ample_warps", {{Stall("not_selected"), 20}}, {{Stall("not_selected"), 19}}},
      {"idle", {{kSm, 24}, {kDram, 24}}, {{kSm, 25}, {kDram, 24}}},
      {"cpu_memory",
       {{"instructions", 9}, {"cycles", 10}, {"cache_misses", 3}, {"cache_references", 10}},
       {{"instructions", 10}, {"cycles", 10}, {"cache_misses", 3}, {"cache_references", 10}}},
      {"cpu_instructions",
       {{"instructions", 25}, {"cycles", 10}},
       {{"instructions", 24}, {"cycles", 10}}},
      {"cpu_branches",
       {{"branch_misses", 2}, {"branches", 100}},
       {{"branch_misses", 1}, {"branches", 100}}},
  };
}

TEST(Bottleneck, EveryRuleFiresAtItsBoundAndNotBesideIt) {
  for (const RuleCase& test : RuleCases()) {
    EXPECT_THAT(Fired(test.fires), Contains(test.rule));
    EXPECT_THAT(Fired(test.is_silent), Not(Contains(test.rule)));
  }
}

TEST(Bottleneck, TheTestsKnowEveryRule) {
  std::set<std::string> tested;
  for (const RuleCase& test : RuleCases()) tested.insert(test.rule);
  for (const std::string_view rule : BottleneckRules()) {
    EXPECT_TRUE(tested.contains(std::string(rule))) << rule;
  }
  EXPECT_EQ(BottleneckRules().size(), tested.size());
}

// Everything that `preset` counts, on a GPU with `stalls` and on a CPU.
std::set<std::string> CountedBy(const std::string& preset, const std::set<std::string>& stalls) {
  std::vector<std::string> bases;
  for (const std::string& stall : stalls) bases.push_back(stall.substr(0, stall.rfind('.')));
  const auto metrics = PresetMetrics(preset, bases);
  const auto cpu_metrics = CpuPresetMetrics(preset);
  EXPECT_TRUE(metrics.ok() && cpu_metrics.ok());
  std::set<std::string> counted(metrics->begin(), metrics->end());
  counted.insert(cpu_metrics->begin(), cpu_metrics->end());
  return counted;
}

TEST(Bottleneck, EveryRuleCanFireWithAPresetThatIsNotFull) {
  // What only `full` counts: the schedulers, the SMs, shared memory's banks.
  const std::set<std::string> of_full_alone = {"issue_rate", "bank_conflicts", "few_warps", "idle"};
  for (const RuleCase& test : RuleCases()) {
    std::set<std::string> needed;
    std::set<std::string> stalls;
    for (const auto& [metric, value] : test.fires) {
      needed.insert(metric);
      if (!StallReasonOf(metric).empty()) stalls.insert(metric);
    }
    const auto has = [&](const std::string& preset) {
      const std::set<std::string> counted = CountedBy(preset, stalls);
      return std::includes(counted.begin(), counted.end(), needed.begin(), needed.end());
    };
    const bool is_of_full_alone = of_full_alone.contains(test.rule);
    EXPECT_EQ(has("memory") || has("stalls"), !is_of_full_alone) << test.rule;
    EXPECT_TRUE(!is_of_full_alone || has("full")) << test.rule;
  }
}

TEST(Bottleneck, ARuleIsSilentWithoutItsMetrics) {
  EXPECT_TRUE(Fired({}).empty());
  EXPECT_TRUE(Fired({{Stall("long_scoreboard"), 90}}).empty());
  EXPECT_TRUE(Fired({{kConflicts, 10}, {kWavefronts, 0}}).empty());
}

TEST(Bottleneck, LatencyIsTheLimitOnlyWhereNoBandwidthIs) {
  std::map<std::string, double> metrics = {{Stall("long_scoreboard"), 50}, {kDram, 20}, {kL2, 60}};
  EXPECT_THAT(Fired(metrics), ElementsAre("l2_bandwidth"));
  metrics[kL2] = 59;
  EXPECT_THAT(Fired(metrics), ElementsAre("memory_latency"));
  metrics.erase(kL2);
  EXPECT_THAT(Fired(metrics), ElementsAre("memory_latency"));
}

TEST(Bottleneck, PrintsTheNumbersThatFiredIt) {
  const auto findings =
      ExplainBottleneck(Metrics({{Stall("long_scoreboard"), 71.5}, {kDram, 50.25}}));
  ASSERT_EQ(findings.size(), 1u);
  ASSERT_EQ(findings[0].evidence.size(), 2u);
  EXPECT_EQ(findings[0].evidence[0].quantity, "long_scoreboard");
  EXPECT_EQ(findings[0].evidence[0].value, 71.5);
  EXPECT_EQ(findings[0].evidence[0].unit, "%");
  EXPECT_EQ(findings[0].evidence[0].condition, "at least 30");
  EXPECT_EQ(findings[0].evidence[1].condition, "below 60");
}

TEST(StallReasons, AreSortedByTheirShareAndExplained) {
  const auto shares = StallBreakdown(Metrics({{Stall("wait"), 20},
                                              {Stall("math_pipe_throttle"), 70},
                                              {Stall("new_one"), 10},
                                              {kDram, 9}}));
  ASSERT_EQ(shares.size(), 3u);
  EXPECT_EQ(shares[0].reason, "math_pipe_throttle");
  EXPECT_EQ(shares[0].percent, 70);
  EXPECT_EQ(shares[0].meaning, StallMeaning("math_pipe_throttle"));
  // What the table does not know keeps the catalogue's words.
  EXPECT_EQ(shares[2].reason, "new_one");
  EXPECT_EQ(shares[2].meaning, "words");
}

TEST(StallReasons, LeavesPartsOfAReasonOut) {
  const auto shares = StallBreakdown(Metrics({{Stall("mio_throttle"), 60},
                                              {Stall("mio_throttle_pipe_mio"), 50},
                                              {Stall("math_pipe_throttle"), 40}}));
  ASSERT_EQ(shares.size(), 2u);
  EXPECT_EQ(shares[0].percent + shares[1].percent, 100);
  // Counted alone it is all that there is.
  EXPECT_EQ(StallBreakdown(Metrics({{Stall("mio_throttle_pipe_mio"), 50}})).size(), 1u);
}

TEST(StallReasons, EveryReasonOfAHopperHasAMeaning) {
  for (const char* reason :
       {"barrier", "branch_resolving", "dispatch_stall", "drain", "gmma", "imc_miss", "lg_throttle",
        "long_scoreboard", "math_pipe_throttle", "membar", "mio_throttle", "misc", "no_instruction",
        "not_selected", "selected", "short_scoreboard", "sleeping", "tex_throttle", "wait"}) {
    EXPECT_NE(StallMeaning(reason), "") << reason;
  }
}

}  // namespace
}  // namespace qtipd
