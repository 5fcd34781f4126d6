#include "kernels/cpu/cholesky.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/random.h"

namespace qtipd {
namespace {

// More than one panel, and a last one that is not whole.
constexpr int64_t kSize = 1100;

// A A^T / size + I of a random A of few columns.
std::vector<float> PositiveMatrix() {
  constexpr int64_t kRank = 24;
  std::vector<float> a(kSize * kRank);
  FillNormal(3, RandomStream::kTest, 0, a);
  std::vector<float> matrix(kSize * kSize);
  for (int64_t i = 0; i < kSize; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double sum = i == j ? 1 : 0;
      for (int64_t k = 0; k < kRank; ++k) sum += double{a[i * kRank + k]} * a[j * kRank + k];
      matrix[i * kSize + j] = matrix[j * kSize + i] = static_cast<float>(sum);
    }
  }
  return matrix;
}

TEST(Cholesky, TheFactorGivesTheMatrixBack) {
  const std::vector<float> matrix = PositiveMatrix();
  std::vector<float> c = matrix;
  ASSERT_TRUE(FactorCholesky(NoProgress(), c, kSize, "damping").ok());
  double worst = 0;
  for (int64_t i = 0; i < kSize; i += 7) {
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (int64_t k = 0; k <= j; ++k) sum += double{c[i * kSize + k]} * c[j * kSize + k];
      worst = std::max(worst, std::abs(sum - matrix[i * kSize + j]));
    }
  }
  EXPECT_LT(worst, 1e-5);
}

TEST(Cholesky, NamesTheMinorAndTheRemedy) {
  std::vector<float> matrix = PositiveMatrix();
  matrix[700 * kSize + 700] = -1;
  ErrorInfo info = GetErrorInfo(FactorCholesky(NoProgress(), matrix, kSize, "damping"));
  EXPECT_EQ(info.reason, "HESSIAN_NOT_POSITIVE_DEFINITE");
  EXPECT_NE(info.metadata["got"].find("minor 701 "), std::string::npos) << info.metadata["got"];
  EXPECT_NE(info.metadata["allowed"].find("a larger damping"), std::string::npos);
}

}  // namespace
}  // namespace qtipd
