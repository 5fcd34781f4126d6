#include "server/engine/harness/statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
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
  EXPECT_DOUBLE_EQ(*statistics.p10, 10);
  EXPECT_DOUBLE_EQ(*statistics.p90, 90);
  EXPECT_DOUBLE_EQ(statistics.iqr, 50);
}

TEST(Statistics, AnOutlierDoesNotMoveTheMedian) {
  const std::vector<double> samples = {1, 1, 1, 1, 1, 1, 1000};
  EXPECT_EQ(Summarise(samples).median, 1);
  EXPECT_EQ(Median(samples), 1);
  EXPECT_EQ(Median({}), 0);
}

TEST(Statistics, HighPercentilesWantSamplesEnough) {
  EXPECT_FALSE(Summarise(std::vector<double>(63, 1.0)).p10.has_value());
  EXPECT_FALSE(Summarise(std::vector<double>(63, 1.0)).p90.has_value());
  EXPECT_TRUE(Summarise(std::vector<double>(64, 1.0)).p90.has_value());
  EXPECT_FALSE(Summarise(std::vector<double>(129, 1.0)).p95.has_value());
  EXPECT_TRUE(Summarise(std::vector<double>(130, 1.0)).p95.has_value());
  EXPECT_FALSE(Summarise(std::vector<double>(661, 1.0)).p99.has_value());
  std::vector<double> samples(1001);
  std::iota(samples.begin(), samples.end(), 0.0);
  EXPECT_DOUBLE_EQ(*Summarise(samples).p95, 950);
  EXPECT_DOUBLE_EQ(*Summarise(samples).p99, 990);
}

TEST(Statistics, MadIsTheMedianOfDeviations) {
  EXPECT_EQ(Summarise(std::vector<double>{1, 1, 2, 2, 4, 6, 9}).mad, 1);
}

TEST(Statistics, CountsOutliersOnEitherSideAndKeepsThem) {
  std::vector<double> samples = {-100, -50, 1000};
  for (int i = 0; i < 100; ++i) samples.push_back(i % 10);
  const Statistics statistics = Summarise(samples);
  EXPECT_EQ(statistics.low_outliers, 2);
  EXPECT_EQ(statistics.high_outliers, 1);
  EXPECT_EQ(statistics.maximum, 1000);
  EXPECT_EQ(statistics.minimum, -100);
  EXPECT_GT(statistics.mean, 10);  // they count
}

TEST(Statistics, TheWidthOfManyIsThatOfTheirSummary) {
  for (const size_t n : {1, 2, 5, 6, 7, 30, 31, 1000}) {
    std::vector<float> normal(n);
    FillNormal(5, RandomStream::kTest, 1000 * n, normal);
    std::vector<double> samples;
    for (float z : normal) samples.push_back(10 + z);
    EXPECT_DOUBLE_EQ(RelativeHalfWidth(samples), RelativeHalfWidth(Summarise(samples))) << n;
  }
}

// N(0, 1) samples, and a share of them `distance` further.
std::vector<double> TwoNormals(int seed, size_t n, double share, double distance) {
  std::vector<float> normal(2 * n);
  FillNormal(static_cast<uint64_t>(seed), RandomStream::kTest, 0, normal);
  std::vector<double> samples;
  for (size_t i = 0; i < n; ++i) {
    const double uniform = 0.5 * std::erfc(-normal[2 * i] / std::sqrt(2.0));
    samples.push_back(100 + normal[2 * i + 1] + (uniform < share ? distance : 0));
  }
  return samples;
}

// How many of 100 series have so many modes.
template <typename MakeSamples>
int SeriesWith(int modes, const MakeSamples& make) {
  int count = 0;
  for (int seed = 0; seed < 100; ++seed) count += CountModes(make(seed)) == modes ? 1 : 0;
  return count;
}

TEST(Modes, ANormalDistributionHasOne) {
  for (const size_t n : {50, 200, 1000}) {
    EXPECT_GE(SeriesWith(1, [&](int seed) { return TwoNormals(seed, n, 0, 0); }), 97) << n;
  }
}

TEST(Modes, ASkewedOneHasOne) {
  EXPECT_GE(SeriesWith(1,
                       [](int seed) {
                         std::vector<double> samples = TwoNormals(seed, 500, 0, 0);
                         for (double& x : samples) x = std::exp(0.5 * (x - 100));
                         return samples;
                       }),
            97);
}

TEST(Modes, TwoSpeedsAreTwo) {
  for (const double share : {0.5, 0.2, 0.1}) {
    for (const double distance : {6.0, 30.0, 1000.0}) {
      EXPECT_GE(SeriesWith(2, [&](int seed) { return TwoNormals(seed, 500, share, distance); }), 95)
          << share << " at " << distance;
    }
  }
}

TEST(Modes, OutliersAreNone) {
  EXPECT_GE(SeriesWith(1, [](int seed) { return TwoNormals(seed, 500, 0.02, 50); }), 97);
}

TEST(Modes, ATimersTicksAreNotModes) {
  EXPECT_GE(SeriesWith(1,
                       [](int seed) {
                         std::vector<double> samples = TwoNormals(seed, 500, 0, 0);
                         for (double& x : samples) x = std::round(x);
                         return samples;
                       }),
            97);
}

TEST(Modes, TwoValuesAreTwo) {
  std::vector<double> samples(100, 1.0);
  EXPECT_EQ(CountModes(samples), 1);
  std::fill_n(samples.begin(), 30, 2.0);
  EXPECT_EQ(CountModes(samples), 2);
}

TEST(Modes, FewSamplesHaveOne) {
  std::vector<double> samples(49, 1.0);
  std::fill_n(samples.begin(), 20, 2.0);
  EXPECT_EQ(CountModes(samples), 1);
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
