#include "kernels/formats/qtip/qtip_incoherence.h"

#include <gtest/gtest.h>

#include <bit>

#include "kernels/api/random.h"
#include "tests/kernels/formats/qtip/golden_file.h"

namespace qtipd {
namespace {

// fp32 rounding through 16 stages of sums of values of order one.
constexpr double kFloatRounding = 5e-6;

TEST(Hadamard, IsTheWalshMatrix) {
  constexpr int kSize = 64;
  for (int j = 0; j < kSize; ++j) {
    std::vector<double> unit(kSize);
    unit[j] = 1;
    HadamardTransform(std::span(unit));
    for (int i = 0; i < kSize; ++i) {
      EXPECT_DOUBLE_EQ(unit[i],
                       std::popcount(static_cast<unsigned>(i & j)) % 2 == 0 ? 0.125 : -0.125);
    }
  }
}

TEST(Hadamard, AgreesWithGoldenRows) {
  const GoldenFile golden("qtip_hadamard");
  std::vector<float> x = golden.Floats("n256/x");
  ThreadPool pool(2);
  HadamardRows(pool, std::span(x), 2, 256);
  EXPECT_LT(MaxErrorOverRms(x, golden.Floats("n256/hadU")), kFloatRounding);
  EXPECT_LT(MaxErrorOverRms(x, golden.Floats("n256/hadUt")), kFloatRounding);
}

TEST(Hadamard, ColumnsAreRowsOfTheTranspose) {
  constexpr int kRows = 32, kCols = 64;
  std::vector<double> matrix(kRows * kCols), transposed(kRows * kCols);
  for (int i = 0; i < kRows * kCols; ++i) {
    matrix[i] = i % 17 - 8;
    transposed[i % kCols * kRows + i / kCols] = matrix[i];
  }
  ThreadPool pool(3);
  HadamardColumns(pool, std::span(matrix), kRows, kCols);
  HadamardRows(pool, std::span(transposed), kCols, kRows);
  for (int i = 0; i < kRows * kCols; ++i) {
    EXPECT_DOUBLE_EQ(matrix[i], transposed[i % kCols * kRows + i / kCols]);
  }
}

TEST(Incoherence, RotatesGoldenWeights) {
  const GoldenFile golden("qtip_ldlq");
  ThreadPool pool(2);
  const std::vector<float> rotated = RotateWeights(pool, golden.Floats("W"), {256, 256},
                                                   {golden.Floats("SU"), golden.Floats("SV")});
  EXPECT_LT(MaxErrorOverRms(rotated, golden.Floats("Wr_fp32")), kFloatRounding);
}

TEST(Incoherence, RotatesTheGoldenHessian) {
  const GoldenFile golden("qtip_ldlq");
  ThreadPool pool(2);
  const std::vector<double> rotated =
      RotateHessian(pool, golden.Floats("H"), golden.Floats("SU"), 0.01);
  EXPECT_LT(MaxErrorOverRms(rotated, golden.Floats("HRr_fp32")), kFloatRounding);
}

TEST(Incoherence, SignsDependOnTheSeedAlone) {
  const QtipSigns signs = MakeQtipSigns({64, 128}, 7);
  ASSERT_EQ(signs.su.size(), 128u);
  ASSERT_EQ(signs.sv.size(), 64u);
  EXPECT_EQ(signs.su, MakeQtipSigns({32, 128}, 7).su);
  EXPECT_NE(signs.su, MakeQtipSigns({64, 128}, 8).su);
  std::vector<float> expected(64);
  FillSigns(7, RandomStream::kOutputSigns, 0, expected);
  EXPECT_EQ(signs.sv, expected);
}

TEST(Incoherence, IsTheSameForAnyNumberOfThreads) {
  std::vector<float> weights(64 * 128);
  FillNormal(1, RandomStream::kTest, 0, weights);
  const QtipSigns signs = MakeQtipSigns({64, 128}, 1);
  ThreadPool one(1), three(3);
  EXPECT_EQ(RotateWeights(one, weights, {64, 128}, signs),
            RotateWeights(three, weights, {64, 128}, signs));
}

}  // namespace
}  // namespace qtipd
