#include "kernels/api/distribution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/random.h"

namespace qtipd {
namespace {

constexpr int64_t kCount = 1 << 18;

std::vector<float> Weights(Distribution distribution, int64_t in_features = 16) {
  std::vector<float> values(kCount);
  FillWeights(distribution, 3, in_features, 0, values);
  return values;
}

double Moment(const std::vector<float>& values, int power) {
  double sum = 0;
  for (const float value : values) sum += std::pow(double{value}, power);
  return sum / static_cast<double>(values.size());
}

// Share of the values that are at most `bound`.
double ShareUpTo(const std::vector<float>& values, double bound) {
  int64_t count = 0;
  for (const float value : values) count += value <= bound ? 1 : 0;
  return static_cast<double>(count) / static_cast<double>(values.size());
}

TEST(Distribution, NormalWeightsAreThoseOfTheGenerator) {
  std::vector<float> normal(kCount);
  FillNormal(3, RandomStream::kWeights, 0, normal);
  EXPECT_EQ(Weights(Distribution::kNormal), normal);
}

// Quantiles of Student's t with 5 degrees of freedom, from its closed form.
TEST(Distribution, StudentsTHasItsQuantiles) {
  const std::vector<float> values = Weights(Distribution::kStudentT5);
  for (const double bound : {-4.0, -2.0150, -0.7267, 0.0, 0.7267, 1.4759, 3.3649}) {
    const double theta = std::atan(bound / std::sqrt(5.0));
    const double cosine = std::cos(theta);
    const double share =
        0.5 + (theta + std::sin(theta) * cosine * (1 + 2.0 / 3 * cosine * cosine)) / M_PI;
    const double deviation = std::sqrt(share * (1 - share) / kCount);
    EXPECT_NEAR(ShareUpTo(values, bound), share, 5 * deviation) << bound;
  }
  EXPECT_NEAR(Moment(values, 2), 5.0 / 3, 0.05);
}

TEST(Distribution, UniformWeightsDependOnTheNumberOfInputs) {
  const std::vector<float> values = Weights(Distribution::kUniform, 16);
  for (const float value : values) ASSERT_LE(std::abs(value), 0.25f);
  EXPECT_NEAR(Moment(values, 2), 0.25 * 0.25 / 3, 1e-4);
  EXPECT_NEAR(Moment(values, 1), 0, 1e-3);
}

TEST(Distribution, AnyPartIsThatOfTheWhole) {
  for (const Distribution distribution :
       {Distribution::kNormal, Distribution::kStudentT5, Distribution::kUniform}) {
    const std::vector<float> whole = Weights(distribution);
    std::vector<float> part(100);
    FillWeights(distribution, 3, 16, 1234, part);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 1234));
    EXPECT_EQ(*FindDistribution("d", DistributionName(distribution)), distribution);
  }
}

TEST(Distribution, AnUnknownNameIsRefusedWithThoseThereAre) {
  EXPECT_EQ(*FindDistribution("d", ""), Distribution::kNormal);
  const absl::Status status = FindDistribution("random.distribution", "cauchy").status();
  EXPECT_EQ(GetErrorInfo(status).reason, "DISTRIBUTION_UNKNOWN");
  EXPECT_EQ(GetErrorInfo(status).metadata.at("allowed"), "normal, student_t5, uniform");
  EXPECT_EQ(GetErrorInfo(status).metadata.at("got"), "'cauchy'");
}

}  // namespace
}  // namespace qtipd
