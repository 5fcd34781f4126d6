#include "kernels/api/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace qtipd {
namespace {

TEST(Random, IsPhilox) {
  // Known answer of Philox-4x32-10 for an all-zero counter and key (Random123, kat_vectors).
  EXPECT_EQ(RandomBits(0, RandomStream::kWeights, 0), 0xe169c58d6627e8d5u);
  // Key 01234567'89abcdef, counter {5, 1, 100, 0}, from an independent implementation.
  EXPECT_EQ(RandomBits(0x0123456789abcdef, RandomStream::kTest, 0x1'00000005), 0xfa4f8cb9acc273e1u);
}

TEST(Random, ElementsDoNotDependOnHowManyAreDrawn) {
  std::vector<float> all(100), tail(10);
  FillNormal(7, RandomStream::kWeights, 0, all);
  FillNormal(7, RandomStream::kWeights, 90, tail);
  EXPECT_TRUE(std::equal(tail.begin(), tail.end(), all.begin() + 90));
}

TEST(Random, SeedsAndStreamsDiffer) {
  std::vector<float> a(32), b(32), c(32);
  FillNormal(1, RandomStream::kWeights, 0, a);
  FillNormal(2, RandomStream::kWeights, 0, b);
  FillNormal(1, RandomStream::kActivations, 0, c);
  EXPECT_NE(a, b);
  EXPECT_NE(a, c);
}

TEST(Random, NormalsHaveTheMomentsAndTailsOfTheNormalDistribution) {
  constexpr int kCount = 1 << 18;
  std::vector<float> values(kCount);
  FillNormal(3, RandomStream::kTest, 0, values);
  double sum = 0, squares = 0, fourths = 0;
  int beyond_two = 0;
  for (double x : values) {
    sum += x;
    squares += x * x;
    fourths += x * x * x * x;
    beyond_two += std::abs(x) > 2;
  }
  // Four standard errors each.
  EXPECT_NEAR(sum / kCount, 0, 4 / 512.0);
  EXPECT_NEAR(squares / kCount, 1, 4 * std::sqrt(2.0) / 512);
  EXPECT_NEAR(fourths / kCount, 3, 4 * std::sqrt(96.0) / 512);
  EXPECT_NEAR(beyond_two / double{kCount}, 0.0455003, 4 * 0.2084 / 512);
}

TEST(Random, NormalsInvertTheDistributionFunction) {
  std::vector<float> values(2000);
  FillNormal(5, RandomStream::kTest, 0, values);
  for (size_t i = 0; i < values.size(); ++i) {
    const double p = ((RandomBits(5, RandomStream::kTest, i) >> 12) + 0.5) * 0x1p-52;
    const double x = values[i];
    const double density = std::exp(-x * x / 2) / std::sqrt(2 * M_PI);
    // fp32 rounding of x moves the probability by at most density * |x| * 2^-24.
    EXPECT_NEAR(std::erfc(-x / std::sqrt(2)) / 2, p, density * (std::abs(x) + 1e-3) * 1.2e-7);
  }
}

TEST(Random, SignsAreBalanced) {
  std::vector<float> signs(1 << 14);
  FillSigns(3, RandomStream::kInputSigns, 0, signs);
  double sum = 0;
  for (float sign : signs) {
    EXPECT_EQ(std::abs(sign), 1.0f);
    sum += sign;
  }
  EXPECT_LT(std::abs(sum), 4 * 128);
}

}  // namespace
}  // namespace qtipd
