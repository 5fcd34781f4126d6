#include "kernels/formats/qtip/qtip_incoherence.h"

#include <gtest/gtest.h>

#include <bit>

#include "kernels/api/random.h"
#include "tests/kernels/formats/qtip/golden_file.h"

namespace qtipd {
namespace {

std::vector<float> Rotated(ThreadPool& pool, std::vector<float> weights, Shape shape,
                           const QtipSigns& signs) {
  EXPECT_TRUE(RotateWeights(pool, NoProgress(), weights, shape, signs).ok());
  return weights;
}

std::vector<float> RotatedHessian(ThreadPool& pool, std::vector<float> hessian,
                                  const std::vector<float>& su, double sigma_reg) {
  EXPECT_TRUE(RotateHessian(pool, NoProgress(), hessian, su, sigma_reg).ok());
  return hessian;
}

// fp32 rounding through 16 stages of sums of values of order one.
constexpr double kFloatRounding = 5e-6;

TEST(Hadamard, IsTheWalshMatrix) {
  constexpr int kSize = 64;
  for (int j = 0; j < kSize; ++j) {
    std::vector<double> unit(kSize);
    unit[j] = 1;
    HadamardTransform(std::span(unit), HadamardDirection::kForward);
    for (int i = 0; i < kSize; ++i) {
      EXPECT_DOUBLE_EQ(unit[i],
                       std::popcount(static_cast<unsigned>(i & j)) % 2 == 0 ? 0.125 : -0.125);
    }
  }
}

class GoldenRows : public testing::TestWithParam<int64_t> {};

TEST_P(GoldenRows, AgreeInBothDirections) {
  const int64_t size = GetParam();
  const GoldenFile golden("qtip_hadamard");
  const std::string prefix = "n" + std::to_string(size) + "/";
  const std::vector<float> x = golden.Floats(prefix + "x");
  ThreadPool pool(2);
  std::vector<float> forward = x, transposed = x;
  HadamardRows(pool, std::span(forward), 2, size, HadamardDirection::kForward);
  HadamardRows(pool, std::span(transposed), 2, size, HadamardDirection::kTransposed);
  EXPECT_LT(MaxErrorOverRms(forward, golden.Floats(prefix + "hadU")), kFloatRounding);
  EXPECT_LT(MaxErrorOverRms(transposed, golden.Floats(prefix + "hadUt")), kFloatRounding);
}

INSTANTIATE_TEST_SUITE_P(Sizes, GoldenRows, testing::Values(256, 11008, 14336));

TEST(Hadamard, DirectionsUndoEachOther) {
  for (const int64_t order : kHadamardOrders) {
    std::vector<float> normal(order * 8);
    FillNormal(order, RandomStream::kTest, 0, normal);
    std::vector<double> values(normal.begin(), normal.end());
    HadamardTransform(std::span(values), HadamardDirection::kTransposed);
    HadamardTransform(std::span(values), HadamardDirection::kForward);
    EXPECT_LT(MaxErrorOverRms(values, normal), 1e-13) << order;
  }
}

TEST(Hadamard, ColumnsAreRowsOfTheTranspose) {
  constexpr int kRows = 224, kCols = 96;
  std::vector<double> matrix(kRows * kCols), transposed(kRows * kCols);
  for (int i = 0; i < kRows * kCols; ++i) {
    matrix[i] = i % 17 - 8;
    transposed[i % kCols * kRows + i / kCols] = matrix[i];
  }
  ThreadPool pool(3);
  HadamardColumns(pool, std::span(matrix), kRows, kCols, HadamardDirection::kTransposed);
  HadamardRows(pool, std::span(transposed), kCols, kRows, HadamardDirection::kTransposed);
  for (int i = 0; i < kRows * kCols; ++i) {
    EXPECT_DOUBLE_EQ(matrix[i], transposed[i % kCols * kRows + i / kCols]);
  }
}

// What decoding does: H_out and, on rows, H_in.
TEST(Incoherence, IsUndoneByTheForwardTransforms) {
  constexpr Shape kShape = {160, 1376};
  std::vector<float> weights(kShape.out_features * kShape.in_features);
  FillNormal(2, RandomStream::kTest, 0, weights);
  const QtipSigns signs = MakeQtipSigns(kShape, 3);
  ThreadPool pool(2);
  std::vector<float> back = Rotated(pool, weights, kShape, signs);
  HadamardRows(pool, std::span(back), 160, 1376, HadamardDirection::kForward);
  HadamardColumns(pool, std::span(back), 160, 1376, HadamardDirection::kForward);
  for (size_t i = 0; i < back.size(); ++i) back[i] *= signs.sv[i / 1376] * signs.su[i % 1376];
  EXPECT_LT(MaxErrorOverRms(back, weights), kFloatRounding);
}

// The Hessian of activations rotates as they do: for H = x x^T, H_r = u u^T with u the input of
// the trellis weights.
TEST(Incoherence, RotatesTheHessianAsActivations) {
  constexpr int kSize = 288;
  std::vector<float> x(kSize), hessian(kSize * kSize);
  FillNormal(4, RandomStream::kTest, 0, x);
  for (int i = 0; i < kSize * kSize; ++i) hessian[i] = x[i / kSize] * x[i % kSize];
  const QtipSigns signs = MakeQtipSigns({32, kSize}, 5);
  std::vector<double> u(kSize), outer(kSize * kSize);
  for (int i = 0; i < kSize; ++i) u[i] = double{x[i]} * signs.su[i];
  HadamardTransform(std::span(u), HadamardDirection::kTransposed);
  for (int i = 0; i < kSize * kSize; ++i) outer[i] = u[i / kSize] * u[i % kSize];
  ThreadPool pool(2);
  EXPECT_LT(MaxErrorOverRms(RotatedHessian(pool, hessian, signs.su, 0), outer), kFloatRounding);
}

TEST(Incoherence, RotatesGoldenWeights) {
  const GoldenFile golden("qtip_ldlq");
  ThreadPool pool(2);
  const std::vector<float> rotated =
      Rotated(pool, golden.Floats("W"), {256, 256}, {golden.Floats("SU"), golden.Floats("SV")});
  EXPECT_LT(MaxErrorOverRms(rotated, golden.Floats("Wr_fp32")), kFloatRounding);
}

TEST(Incoherence, RotatesTheGoldenHessian) {
  const GoldenFile golden("qtip_ldlq");
  ThreadPool pool(2);
  const std::vector<float> rotated =
      RotatedHessian(pool, golden.Floats("H"), golden.Floats("SU"), 0.01);
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

// What one thread needs of a tall matrix grows with it, so fewer threads have it.
TEST(Incoherence, TakesNoMoreMemoryForMoreThreads) {
  EXPECT_EQ(QtipRotationThreads(4096, 16), 16);
  for (const int64_t rows : {4096, 57344, 131072}) {
    EXPECT_GE(QtipRotationThreads(rows, 256), 8) << rows;
    EXPECT_LE(QtipRotationBytes({rows, 4096}, 256), uint64_t{1} << 28) << rows;
  }
}

TEST(Incoherence, IsTheSameForAnyNumberOfThreads) {
  std::vector<float> weights(64 * 128);
  FillNormal(1, RandomStream::kTest, 0, weights);
  const QtipSigns signs = MakeQtipSigns({64, 128}, 1);
  ThreadPool one(1), three(3);
  EXPECT_EQ(Rotated(one, weights, {64, 128}, signs), Rotated(three, weights, {64, 128}, signs));
}

}  // namespace
}  // namespace qtipd
