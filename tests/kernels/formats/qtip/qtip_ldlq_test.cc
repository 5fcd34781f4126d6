#include "kernels/formats/qtip/qtip_ldlq.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "kernels/api/error.h"
#include "kernels/api/random.h"
#include "kernels/cpu/pieces.h"
#include "tests/fakes/cancelled_at.h"
#include "tests/kernels/formats/qtip/golden_file.h"

namespace qtipd {
namespace {

// A well-conditioned correlated matrix: G G^T / n + I / 10.
std::vector<float> CorrelatedHessian(int n) {
  std::vector<float> g(n * n);
  FillNormal(4, RandomStream::kTest, 0, g);
  std::vector<float> h(n * n);
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      double sum = i == j ? 0.1 : 0;
      for (int k = 0; k < n; ++k) sum += double{g[i * n + k]} * g[j * n + k] / n;
      h[i * n + j] = static_cast<float>(sum);
    }
  }
  return h;
}

// The blocks of `lower` that a factor has; zero elsewhere.
std::vector<float> BelowTheDiagonal(std::span<const float> lower, int64_t n) {
  std::vector<float> below(lower.begin(), lower.end());
  for (int64_t i = 0; i < n; ++i) {
    std::fill_n(&below[i * n + i / 16 * 16], n - i / 16 * 16, 0.0f);
  }
  return below;
}

double Trace(const std::vector<float>& e, const std::vector<float>& h, int rows, int n) {
  double trace = 0;
  for (int r = 0; r < rows; ++r) {
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) trace += double{e[r * n + i]} * h[i * n + j] * e[r * n + j];
    }
  }
  return trace;
}

TEST(BlockLdl, AgreesWithTheGoldenFactor) {
  const GoldenFile golden("qtip_ldlq");
  std::vector<float> rotated = golden.Floats("HRr_fp32");
  ThreadPool pool(2);
  const auto factor = FactorBlockLdl(pool, NoProgress(), rotated, 256);
  ASSERT_TRUE(factor.ok()) << factor.status();
  // The golden factor was itself computed in fp32 from a matrix of condition number about 1e3.
  EXPECT_LT(MaxErrorOverRms(BelowTheDiagonal(factor->lower, 256),
                            golden.Floats("L_block16_zero_diag_fp32")),
            1e-3);
}

// Row i of (I + lower) C, in double.
std::vector<double> RowOfRoot(const BlockLdl& factor, int64_t i) {
  std::vector<double> row(factor.size);
  for (int64_t j = 0; j <= i; ++j) {
    const int64_t block = j / 16 * 16;
    for (int64_t k = block; k < block + 16; ++k) {
      const double unit = factor.lower[i * factor.size + k] + (i == k ? 1 : 0);
      row[j] += unit * factor.pivots[k * 16 + j - block];
    }
  }
  return row;
}

// The last size has three panels of columns, the first of them two parts of rows.
TEST(BlockLdl, MultipliesBackToTheMatrix) {
  for (const int n : {64, 528, 2624}) {
    std::vector<float> h(n * n);
    if (n == 64) {
      h = CorrelatedHessian(n);
    } else {
      for (int i = 0; i < n * n; ++i) {
        h[i] = std::pow(0.99f, static_cast<float>(std::abs(i / n - i % n)));
      }
    }
    std::vector<float> memory = h;
    ThreadPool pool(2);
    const auto factor = FactorBlockLdl(pool, NoProgress(), memory, n);
    ASSERT_TRUE(factor.ok()) << factor.status();
    EXPECT_EQ(factor->lower.data(), memory.data());
    for (int i = 0; i < n; i += 1 + n / 64) {
      const std::vector<double> left = RowOfRoot(*factor, i);
      for (int j = 0; j <= i; j += 1 + n / 64) {
        const std::vector<double> right = RowOfRoot(*factor, j);
        const double product = std::inner_product(left.begin(), left.end(), right.begin(), 0.0);
        EXPECT_NEAR(product, h[i * n + j], 1e-5) << n << " " << i << " " << j;
      }
    }
  }
}

TEST(BlockLdl, StopsWhereverItIsCancelled) {
  constexpr int kSize = 528;
  std::vector<float> identity(kSize * kSize);
  for (int i = 0; i < kSize; ++i) identity[i * (kSize + 1)] = 1;
  ThreadPool pool(2);
  CancelledAt never = CancelledAt::Never();
  std::vector<float> memory = identity;
  ASSERT_TRUE(FactorBlockLdl(pool, never, memory, kSize).ok());
  ASSERT_GE(never.looks(), 4) << "each part of a panel and the inversion";
  for (int64_t at = 1; at <= never.looks(); ++at) {
    memory = identity;
    const absl::Status status = FactorBlockLdl(pool, CancelledAt(at), memory, kSize).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << at;
  }
}

// Of kPanelCols columns all parts of rows and depth: a look for at most 2^29 multiplications.
TEST(BlockLdl, LooksForACancellationOftenEnough) {
  constexpr int64_t kSize = 2624;
  std::vector<float> memory(kSize * kSize);
  for (int i = 0; i < kSize; ++i) memory[i * (kSize + 1)] = 1;
  ThreadPool pool(2);
  CancelledAt never = CancelledAt::Never();
  ASSERT_TRUE(FactorBlockLdl(pool, never, memory, kSize).ok());
  EXPECT_GE(never.looks(),
            kSize * kSize * kSize / 6 / (int64_t{1} << 29) + kSize * kSize / kPieceElements);
}

TEST(BlockLdl, RefusesAnIndefiniteMatrix) {
  std::vector<float> h = CorrelatedHessian(32);
  h[20 * 32 + 20] = -1;
  ThreadPool pool(1);
  const auto factor = FactorBlockLdl(pool, NoProgress(), h, 32);
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
    memory_ = hessian_;
    auto factor = FactorBlockLdl(pool_, never_, memory_, kCols);
    ASSERT_TRUE(factor.ok());
    factor_ = *std::move(factor);
  }

  // Rounds to multiples of 1/2 and remembers everything.
  absl::Status Round(const LdlqBlock& at, std::span<const float> target, std::span<float> decoded) {
    if (at.first_row == 0) order_.push_back(at.block);
    for (int64_t i = 0; i < static_cast<int64_t>(target.size()); ++i) {
      const int64_t element = (at.first_row + i / 16) * kCols + at.block * 16 + i % 16;
      decoded[i] = std::round(target[i] * 2) / 2;
      target_[element] = target[i];
      error_[element] = weights_[element] - decoded[i];
    }
    return absl::OkStatus();
  }

  LdlqEnergies Run(const LdlqStrips& strips = {.rows = kRows, .slots = 1}) {
    left_ = weights_;
    const auto energies =
        RunLdlq(pool_, strips, never_, factor_, left_, {kRows, kCols},
                [this](const LdlqBlock& at, std::span<const float> target,
                       std::span<float> decoded) { return Round(at, target, decoded); });
    EXPECT_TRUE(energies.ok());
    return energies.value_or(LdlqEnergies{});
  }

  ThreadPool pool_{2};
  NoProgress never_;
  const std::vector<float> hessian_ = CorrelatedHessian(kCols);
  std::vector<float> memory_;  // of the factor
  BlockLdl factor_;
  std::vector<float> left_;  // what LDLQ leaves of the weights
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

TEST_F(Ldlq, IsTheSameForAnyStripsAndThreads) {
  const LdlqEnergies whole = Run();
  const std::vector<float> error = left_;
  const LdlqEnergies strips = Run({.rows = 8, .slots = 2});
  EXPECT_NEAR(strips.error, whole.error, 1e-9 * whole.error);
  EXPECT_NEAR(strips.weights, whole.weights, 1e-9 * whole.weights);
  EXPECT_EQ(left_, error);
}

TEST_F(Ldlq, ReturnsTheEnergiesOfTheErrorAndOfTheWeights) {
  const LdlqEnergies energies = Run();
  EXPECT_NEAR(energies.error, Trace(error_, hessian_, kRows, kCols), 1e-4 * energies.error);
  EXPECT_NEAR(energies.weights, Trace(weights_, hessian_, kRows, kCols), 1e-4 * energies.weights);
}

TEST_F(Ldlq, LeavesTheErrorWhereTheWeightsWere) {
  Run();
  EXPECT_EQ(left_, error_);
}

TEST_F(Ldlq, BeatsRoundingWithoutFeedback) {
  const double energy = Run().error;
  std::vector<float> plain(weights_.size());
  for (size_t i = 0; i < plain.size(); ++i) {
    plain[i] = weights_[i] - std::round(weights_[i] * 2) / 2;
  }
  EXPECT_LT(energy, 0.8 * Trace(plain, hessian_, kRows, kCols));
}

TEST_F(Ldlq, StopsAtTheFirstError) {
  int calls = 0;
  const absl::Status status =
      RunLdlq(pool_, {.rows = kRows, .slots = 1}, never_, factor_, weights_, {kRows, kCols},
              [&](const LdlqBlock&, std::span<const float>, std::span<float>) {
                return ++calls == 3 ? absl::DataLossError("stop") : absl::OkStatus();
              })
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(calls, 3);
}

// Both sweeps, the one that measures the weights and the one that quantizes.
TEST_F(Ldlq, StopsWhereverItIsCancelled) {
  const auto run = [&](const Progress& progress) {
    left_ = weights_;
    return RunLdlq(pool_, {.rows = 16, .slots = 2}, progress, factor_, left_, {kRows, kCols},
                   [](const LdlqBlock&, std::span<const float> target, std::span<float> decoded) {
                     std::ranges::copy(target, decoded.begin());
                     return absl::OkStatus();
                   })
        .status();
  };
  const CancelledAt never = CancelledAt::Never();
  ASSERT_TRUE(run(never).ok());
  ASSERT_GE(never.looks(), 2 * 2 * kCols / 16) << "every block of both strips, in both sweeps";
  for (int64_t at = 1; at <= never.looks(); ++at) {
    EXPECT_EQ(run(CancelledAt(at)).code(), absl::StatusCode::kCancelled) << at;
  }
}

}  // namespace
}  // namespace qtipd
