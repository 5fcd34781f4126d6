// Stopping rules and the judging of samples, held to nvbench's decisions.
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "server/engine/harness/conditions_watch.h"
#include "server/engine/harness/stopping.h"
#include "tests/fakes/fake_clock.h"
#include "tests/server/engine/stopping_series.h"

namespace qtipd {
namespace {

// One line of the file: where nvbench's criterion ends a series, and why.
struct Decision {
  std::string kind;
  int seed = 0;
  std::string criterion;
  size_t samples = 0;  // kept ones
  std::string reason;

  friend std::ostream& operator<<(std::ostream& out, const Decision& d) {
    return out << d.kind << " " << d.seed << " " << d.criterion;
  }
};

std::vector<Decision> Recorded() {
  std::ifstream file(QTIPD_GOLDEN_DIR "/nvbench_decisions.txt");
  std::vector<Decision> decisions;
  Decision d;
  while (file >> d.kind >> d.seed >> d.criterion >> d.samples >> d.reason) decisions.push_back(d);
  return decisions;
}

class NvbenchDecisions : public ::testing::TestWithParam<Decision> {};

TEST_P(NvbenchDecisions, AreOurs) {
  const Decision& expected = GetParam();
  const Series series(expected.kind, expected.seed);
  BenchmarkSpec spec;
  spec.stopping_criterion = expected.criterion;
  spec.max_seconds = kSeriesTimeout;
  const auto rule = MakeStoppingRule(spec, 1);
  const auto monitor = MakeSilentMonitor();
  FakeClock clock;
  ConditionsWatch watch(*monitor, clock);
  watch.SetReference(kSeriesClock);
  std::vector<double> samples;
  std::optional<StopReason> reason;
  for (int64_t attempt = 0; !reason; ++attempt) {
    const SeriesSample sample = series.At(attempt);
    clock.Advance(sample.seconds * series.WallFactor());
    const double now = clock.MonotonicSeconds();
    const ReplayTiming timing{.seconds = sample.seconds, .clock_hertz = sample.clock_hertz};
    if (watch.Judge(timing, now) == ConditionsWatch::Verdict::kTakeAgain) continue;
    samples.push_back(sample.seconds);
    reason = rule->Check(samples, now - watch.waited_seconds());
  }
  EXPECT_EQ(samples.size(), expected.samples);
  EXPECT_EQ(StopReasonName(*reason), expected.reason);
}

INSTANTIATE_TEST_SUITE_P(All, NvbenchDecisions, ::testing::ValuesIn(Recorded()),
                         [](const auto& info) {
                           std::string name = info.param.kind + info.param.criterion;
                           std::erase(name, '-');
                           return name + std::to_string(info.param.seed);
                         });

TEST(NvbenchDecisionsFile, HasTwentySeriesOfEachKindForEachCriterion) {
  std::map<std::string, int> counts;
  for (const Decision& d : Recorded()) ++counts[d.kind + " " + d.criterion];
  ASSERT_EQ(counts.size(), 4u * 3u);
  for (const auto& [name, count] : counts) EXPECT_EQ(count, kSeriesSeeds) << name;
}

TEST(Series, ThrottledOnesHaveSamplesToTakeAgain) {
  for (int seed = 0; seed < kSeriesSeeds; ++seed) {
    const Series series("throttled", seed);
    int throttled = 0;
    for (int64_t i = 0; i < 2000; ++i) {
      throttled += series.At(i).clock_hertz < kThrottledClock * kSeriesClock ? 1 : 0;
    }
    EXPECT_EQ(throttled, 1 + seed);
  }
}

}  // namespace
}  // namespace qtipd
