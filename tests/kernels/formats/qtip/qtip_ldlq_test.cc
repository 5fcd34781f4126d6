#include "kernels/formats/qtip/qtip_ldlq.h"

#include <gtest/gtest.h>

#include "kernels/api/error.h"
#include "kernels/api/random.h"
#include "tests/kernels/formats/qtip/golden_file.h"

namespace qtipd {
namespace {

// A well-conditioned correlated matrix: G G^T / n + I / 10.
std::vector<double> CorrelatedHessian(int n) {
  std::vector<float> g(n * n);
  FillNormal(4, RandomStream::kTest, 0, g);
  std::vector<double> h(n * n);
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      for (int k = 0; k < n; ++k) h[i * n + j] += double{g[i * n + k]} * g[j * n + k] / n;
    }
    h[i * n + i] += 0.1;
  }
  return h;
}

double Trace(const std::vector<float>& e, const std::vector<double>& h, int rows, int n) {
  double trace = 0;
  for (int r = 0; r < rows; ++r) {
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) trace += e[r * n + i] * h[i * n + j] * e[r * n + j];
    }
  }
  return trace;
}

TEST(BlockLdl, AgreesWithTheGoldenFactor) {
  const GoldenFile golden("qtip_ldlq");
  const std::vector<float> rotated = golden.Floats("HRr_fp32");
  ThreadPool pool(2);
  const auto factor = FactorBlockLdl(pool, {rotated.begin(), rotated.end()}, 256);
  ASSERT_TRUE(factor.ok()) << factor.status();
  // The golden factor was itself computed in fp32 from a matrix of condition number about 1e3.
  EXPECT_LT(MaxErrorOverRms(factor->lower, golden.Floats("L_block16_zero_diag_fp32")), 1e-3);
}

TEST(BlockLdl, MultipliesBackToTheMatrix) {
  constexpr int kSize = 64;
  const std::vector<double> h = CorrelatedHessian(kSize);
  ThreadPool pool(2);
  const auto factor = FactorBlockLdl(pool, h, kSize);
  ASSERT_TRUE(factor.ok());
  std::vector<double> root(kSize * kSize);  // (I + lower) C
  for (int i = 0; i < kSize; ++i) {
    for (int j = 0; j <= i; ++j) {
      const int block = j / 16 * 16;
      for (int k = block; k < block + 16; ++k) {
        const double unit = factor->lower[i * kSize + k] + (i == k ? 1 : 0);
        root[i * kSize + j] += unit * factor->pivots[k * 16 + j - block];
      }
    }
  }
  for (int i = 0; i < kSize; ++i) {
    for (int j = 0; j < kSize; ++j) {
      double product = 0;
      for (int k = 0; k < kSize; ++k) product += root[i * kSize + k] * root[j * kSize + k];
      EXPECT_NEAR(product, h[i * kSize + j], 1e-5);
    }
  }
}

TEST(BlockLdl, RefusesAnIndefiniteMatrix) {
  std::vector<double> h = CorrelatedHessian(32);
  h[20 * 32 + 20] = -1;
  ThreadPool pool(1);
  const auto factor = FactorBlockLdl(pool, h, 32);
  ASSERT_FALSE(factor.ok());
  EXPECT_EQ(GetErrorInfo(factor.status()).reason, "HESSIAN_NOT_POSITIVE_DEFINITE");
  EXPECT_NE(factor.status().message().find("sigma_reg"), std::string::npos);
}

class Ldlq : public testing::Test {
 protected:
  static constexpr int kRows = 32;
  static constexpr int kCols = 288;  // two groups of 128 columns, and one of 32

  void SetUp() override {
    FillNormal(5, RandomStream::kTest, 0, weights_);
    auto factor = FactorBlockLdl(pool_, hessian_, kCols);
    ASSERT_TRUE(factor.ok());
    factor_ = *std::move(factor);
  }

  // Rounds to multiples of 1/2 and remembers everything.
  absl::Status Round(int64_t block, std::span<const float> target, std::span<float> decoded) {
    order_.push_back(block);
    for (int64_t i = 0; i < kRows * 16; ++i) {
      const int64_t element = i / 16 * kCols + block * 16 + i % 16;
      decoded[i] = std::round(target[i] * 2) / 2;
      target_[element] = target[i];
      error_[element] = weights_[element] - decoded[i];
    }
    return absl::OkStatus();
  }

  double Run() {
    const auto energy =
        RunLdlq(factor_, weights_, {kRows, kCols},
                [this](int64_t block, std::span<const float> target, std::span<float> decoded) {
                  return Round(block, target, decoded);
                });
    EXPECT_TRUE(energy.ok());
    return energy.value_or(0);
  }

  ThreadPool pool_{2};
  const std::vector<double> hessian_ = CorrelatedHessian(kCols);
  BlockLdl factor_;
  std::vector<float> weights_ = std::vector<float>(kRows * kCols);
  std::vector<float> target_ = std::vector<float>(kRows * kCols);
  std::vector<float> error_ = std::vector<float>(kRows * kCols);
  std::vector<int64_t> order_;
};

TEST_F(Ldlq, FeedsTheErrorOfLaterColumnsIntoEarlierOnes) {
  Run();
  ASSERT_EQ(order_.size(), 18u);
  for (int64_t block = 0; block < 18; ++block) EXPECT_EQ(order_[block], 17 - block);
  for (int row = 0; row < kRows; row += 7) {
    for (int col = 0; col < kCols; ++col) {
      double expected = weights_[row * kCols + col];
      for (int i = (col / 16 + 1) * 16; i < kCols; ++i) {
        expected += double{error_[row * kCols + i]} * factor_.lower[i * kCols + col];
      }
      EXPECT_NEAR(target_[row * kCols + col], expected, 1e-5);
    }
  }
}

TEST_F(Ldlq, ReturnsTheEnergyOfTheError) {
  const double energy = Run();
  EXPECT_NEAR(energy, Trace(error_, hessian_, kRows, kCols), 1e-4 * energy);
}

TEST_F(Ldlq, MeasuresTheEnergyOfTheWeights) {
  const double expected = Trace(weights_, hessian_, kRows, kCols);
  EXPECT_NEAR(HessianEnergy(pool_, factor_, weights_, {kRows, kCols}), expected, 1e-4 * expected);
}

TEST_F(Ldlq, BeatsRoundingWithoutFeedback) {
  const double energy = Run();
  std::vector<float> plain(weights_.size());
  for (size_t i = 0; i < plain.size(); ++i) {
    plain[i] = weights_[i] - std::round(weights_[i] * 2) / 2;
  }
  EXPECT_LT(energy, 0.8 * Trace(plain, hessian_, kRows, kCols));
}

TEST_F(Ldlq, StopsAtTheFirstError) {
  int calls = 0;
  const auto energy = RunLdlq(
      factor_, weights_, {kRows, kCols}, [&](int64_t, std::span<const float>, std::span<float>) {
        return ++calls == 3 ? absl::CancelledError("stop") : absl::OkStatus();
      });
  EXPECT_EQ(energy.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(calls, 3);
}

}  // namespace
}  // namespace qtipd
