#include "server/engine/harness/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/api/random.h"

namespace qtipd {
namespace {

TEST(Statistics, MedianIntervalRanksMatchTheTables) {
  // David, Nagaraja, "Order Statistics", ranks of the 95 % interval, one-based: n = 6 (1, 6),
  // 9 (2, 8), 20 (6, 15), 30 (10, 21), 100 (40, 61).
  using Ranks = std::pair<size_t, size_t>;
  EXPECT_EQ(MedianIntervalRanks(6), Ranks(0, 5));
  EXPECT_EQ(MedianIntervalRanks(9), Ranks(1, 7));
  EXPECT_EQ(MedianIntervalRanks(20), Ranks(5, 14));
  EXPECT_EQ(MedianIntervalRanks(30), Ranks(9, 20));
  EXPECT_EQ(MedianIntervalRanks(100), Ranks(39, 60));
}

TEST(Statistics, FewSamplesGiveTheirWholeRange) {
  using Ranks = std::pair<size_t, size_t>;
  EXPECT_EQ(MedianIntervalRanks(1), Ranks(0, 0));
  EXPECT_EQ(MedianIntervalRanks(5), Ranks(0, 4));
}

TEST(Statistics, IntervalHoldsTheMedian95PercentOfTheTime) {
  int covered = 0;
  constexpr int kTrials = 2000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<float> normal(50);
    FillNormal(1, RandomStream::kTest, static_cast<uint64_t>(trial) * 50, normal);
    std::vector<double> samples;  // log-normal with median 1: skewed, as times are
    for (float z : normal) samples.push_back(std::exp(double{z}));
    const Statistics statistics = Summarise(samples);
    if (statistics.ci_low <= 1 && 1 <= statistics.ci_high) ++covered;
  }
  EXPECT_GE(covered, 0.94 * kTrials);
  EXPECT_LE(covered, 0.985 * kTrials);
}

TEST(Statistics, SummarisesKnownSamples) {
  std::vector<double> samples(101);
  std::iota(samples.rbegin(), samples.rend(), 0.0);  // 100 ... 0, unsorted
  const Statistics statistics = Summarise(samples);
  EXPECT_EQ(statistics.median, 50);
  EXPECT_EQ(statistics.mean, 50);
  EXPECT_EQ(statistics.minimum, 0);
  EXPECT_EQ(statistics.maximum, 100);
  EXPECT_DOUBLE_EQ(statistics.p10, 10);
  EXPECT_DOUBLE_EQ(statistics.p90, 90);
  EXPECT_DOUBLE_EQ(statistics.iqr, 50);
}

TEST(Statistics, AnOutlierDoesNotMoveTheMedian) {
  const std::vector<double> samples = {1, 1, 1, 1, 1, 1, 1000};
  EXPECT_EQ(Summarise(samples).median, 1);
  EXPECT_EQ(Median(samples), 1);
  EXPECT_EQ(Median({}), 0);
}

TEST(Statistics, HalfWidthIsRelativeToTheMedian) {
  Statistics statistics;
  statistics.median = 10;
  statistics.ci_low = 9;
  statistics.ci_high = 12;
  EXPECT_DOUBLE_EQ(RelativeHalfWidth(statistics), 0.15);
  statistics.median = 0;
  EXPECT_EQ(RelativeHalfWidth(statistics), std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace qtipd
