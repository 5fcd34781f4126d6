// k-means of numbers against an exhaustive dynamic program in long double.
#include "kernels/formats/lut/lut_kmeans.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/formats/lut/lut_codebook.h"
#include "tests/kernels/formats/lut/lut_test_layers.h"

namespace qtipd {
namespace {

struct Sample {
  std::vector<double> values;  // ascending
  std::vector<double> weights;
};

Sample MakeSample(const std::vector<float>& numbers, bool is_weighted) {
  Sample sample;
  sample.values.assign(numbers.begin(), numbers.end());
  std::ranges::sort(sample.values);
  for (const float weight : Normal(numbers.size(), 99)) {
    sample.weights.push_back(is_weighted ? double{weight} * weight : 1);
  }
  return sample;
}

// The least possible weighted error, every split of the sorted sample tried.
double LeastError(const Sample& sample, int entries) {
  const size_t n = sample.values.size();
  const auto error_of = [&](size_t begin, size_t end) {
    long double weight = 0, value = 0, error = 0;
    for (size_t i = begin; i < end; ++i) {
      weight += sample.weights[i];
      value += static_cast<long double>(sample.weights[i]) * sample.values[i];
    }
    if (weight == 0) return 0.0L;
    for (size_t i = begin; i < end; ++i) {
      const long double distance = sample.values[i] - value / weight;
      error += sample.weights[i] * distance * distance;
    }
    return error;
  };
  std::vector<std::vector<long double>> errors(n, std::vector<long double>(n + 1));
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = i + 1; j <= n; ++j) errors[i][j] = error_of(i, j);
  }
  std::vector<long double> least(n + 1, std::numeric_limits<long double>::infinity());
  least[0] = 0;
  for (int k = 0; k < entries; ++k) {
    std::vector<long double> next = least;  // fewer clusters are allowed
    for (size_t end = 1; end <= n; ++end) {
      for (size_t begin = 0; begin < end; ++begin) {
        next[end] = std::min(next[end], least[begin] + errors[begin][end]);
      }
    }
    least = next;
  }
  return static_cast<double>(least[n]);
}

// Of nearest centres, without LutPoints.
double ErrorOf(const Sample& sample, const std::vector<double>& centres) {
  double error = 0;
  for (size_t i = 0; i < sample.values.size(); ++i) {
    double least = std::numeric_limits<double>::infinity();
    for (const double centre : centres) {
      least = std::min(least, std::pow(sample.values[i] - centre, 2));
    }
    error += sample.weights[i] * least;
  }
  return error;
}

TEST(LutKmeans, FindsTheOptimum) {
  for (const bool is_weighted : {false, true}) {
    for (const int entries : {2, 4, 8, 16}) {
      for (const Sample& sample : {MakeSample(Normal(150, entries), is_weighted),
                                   MakeSample(HeavyTailed(150, entries), is_weighted)}) {
        const LutPoints points(sample.values, sample.weights);
        const auto centres = OptimalLutCentres(points, entries, NoProgress());
        ASSERT_TRUE(centres.ok());
        EXPECT_TRUE(std::ranges::is_sorted(*centres));
        const double least = LeastError(sample, entries);
        EXPECT_NEAR(ErrorOf(sample, *centres), least, 1e-9 * least + 1e-12) << entries;
        EXPECT_NEAR(LutError(points, *centres), least, 1e-9 * least + 1e-12) << entries;
      }
    }
  }
}

TEST(LutKmeans, OfCondensedPointsIsWithinTwoThousandthsOfTheOptimum) {
  for (const int entries : {2, 4, 8, 16}) {
    for (const Sample& sample :
         {MakeSample(Normal(400, entries), true), MakeSample(HeavyTailed(400, entries), true)}) {
      const LutPoints points(sample.values, sample.weights);
      const LutPoints condensed = CondenseLutPoints(points, 128);
      EXPECT_LE(condensed.size(), 129);
      auto centres = OptimalLutCentres(condensed, entries, NoProgress());
      ASSERT_TRUE(centres.ok());
      ImproveLutCentres(points, 100, *centres);
      EXPECT_LE(ErrorOf(sample, *centres), 1.002 * LeastError(sample, entries)) << entries;
    }
  }
}

TEST(LutKmeans, CondensedPointsKeepWeightAndMean) {
  const Sample sample = MakeSample(HeavyTailed(5000, 3), true);
  const LutPoints points(sample.values, sample.weights);
  const LutPoints condensed = CondenseLutPoints(points, 64);
  double weight = 0, mean = 0;
  for (int64_t i = 0; i < condensed.size(); ++i) {
    weight += condensed.weight(i);
    mean += condensed.weight(i) * condensed.value(i);
  }
  const double total = std::accumulate(sample.weights.begin(), sample.weights.end(), 0.0);
  EXPECT_NEAR(weight, total, 1e-9 * total);
  EXPECT_NEAR(mean / weight, points.Mean(0, points.size()), 1e-9);
}

TEST(LutKmeans, StandsForFewNumbersExactly) {
  const std::vector<double> values = {-1, -1, 0.5, 2, 2};
  const std::vector<double> weights = {1, 2, 1, 0.5, 1};
  const LutPoints points(values, weights);
  ASSERT_EQ(points.size(), 3);
  EXPECT_EQ(*OptimalLutCentres(points, 4, NoProgress()), (std::vector<double>{-1, 0.5, 2, 2}));
}

TEST(LutKmeans, IgnoresNumbersWithoutWeight) {
  const LutPoints points(std::vector<double>{-5, 1, 2}, std::vector<double>{0, 1, 1});
  EXPECT_EQ(points.size(), 2);
  EXPECT_EQ(*OptimalLutCentres(points, 2, NoProgress()), (std::vector<double>{1, 2}));
}

TEST(LutKmeans, ImprovingNeverMakesWorse) {
  const Sample sample = MakeSample(HeavyTailed(2000, 5), true);
  const LutPoints points(sample.values, sample.weights);
  std::vector<double> centres = {-3, -2.9, -2.8, 0, 0.1, 0.2, 1, 9};
  double before = ErrorOf(sample, centres);
  for (int step = 0; step < 30; ++step) {
    ImproveLutCentres(points, 1, centres);
    const double after = ErrorOf(sample, centres);
    EXPECT_LE(after, before * (1 + 1e-12));
    before = after;
  }
}

class Cancelled final : public Progress {
 public:
  void Report(double, std::string_view) override {}
  bool IsCancelled() const override { return true; }
};

TEST(LutKmeans, EndsWhenCancelled) {
  const Sample sample = MakeSample(Normal(100, 1), false);
  const auto centres = OptimalLutCentres(LutPoints(sample.values, sample.weights), 4, Cancelled());
  EXPECT_TRUE(absl::IsCancelled(centres.status()));
}

// Max, "Quantizing for minimum distortion", IRE Trans. Inf. Theory 6 (1960), table I, of N(0, 1).
TEST(LutKmeans, OfManyNormalNumbersIsMaxsQuantizer) {
  const int64_t count = 1 << 20;
  const std::vector<float> weights = Normal(count, 8);
  const std::vector<float> importance(1024, 1.0f);
  const std::map<int, double> distortions = {
      {2, 0.3634}, {4, 0.1175}, {8, 0.03454}, {16, 0.009497}};
  ThreadPool pool(2);
  for (const auto& [entries, distortion] : distortions) {
    const LutProblem problem = {.shape = {count / 1024, 1024},
                                .spec = {.bits = static_cast<int>(std::log2(entries)), .block = 0},
                                .weights = weights,
                                .importance = importance};
    const auto points = MatrixLutPoints(pool, NoProgress(), problem, {});
    ASSERT_TRUE(points.ok());
    const auto codebook = FitLutCodebook(problem, *points, NoProgress());
    ASSERT_TRUE(codebook.ok());
    const std::vector<float> values = LutCodebookValues(*codebook);
    double error = 0;
    for (const float weight : weights) {
      double least = std::numeric_limits<double>::infinity();
      for (const float value : values) least = std::min(least, std::pow(double{weight} - value, 2));
      error += least;
    }
    EXPECT_NEAR(error / count, distortion, 0.005 * distortion) << entries;
  }
}

}  // namespace
}  // namespace qtipd
