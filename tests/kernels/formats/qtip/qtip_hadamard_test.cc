#include "kernels/formats/qtip/qtip_hadamard.h"

#include <gtest/gtest.h>

#include "tests/kernels/formats/qtip/golden_file.h"

namespace qtipd {
namespace {

class HadamardMatrices : public testing::TestWithParam<int> {
 protected:
  const int order_ = GetParam();
  const std::vector<int8_t> matrix_ = HadamardMatrix(order_, HadamardDirection::kForward);
};

TEST_P(HadamardMatrices, AreOrthogonalMatricesOfSigns) {
  ASSERT_EQ(matrix_.size(), static_cast<size_t>(order_) * order_);
  for (const int8_t value : matrix_) ASSERT_TRUE(value == 1 || value == -1);
  for (int i = 0; i < order_; ++i) {
    for (int j = 0; j < order_; ++j) {
      int sum = 0;
      for (int k = 0; k < order_; ++k) sum += matrix_[i * order_ + k] * matrix_[j * order_ + k];
      ASSERT_EQ(sum, i == j ? order_ : 0) << "rows " << i << " and " << j;
    }
  }
}

TEST_P(HadamardMatrices, AreThoseOfPublishedLayers) {
  const GoldenFile golden("qtip_hadamard");
  const HostTensor& table = golden.Tensor("had" + std::to_string(order_) + "_i8");
  ASSERT_EQ(table.dtype(), DType::kI8);
  ASSERT_EQ(table.bytes().size(), matrix_.size());
  EXPECT_EQ(std::memcmp(table.bytes().data(), matrix_.data(), matrix_.size()), 0);
}

TEST_P(HadamardMatrices, HaveTheirTranspose) {
  const std::vector<int8_t> transposed = HadamardMatrix(order_, HadamardDirection::kTransposed);
  for (int i = 0; i < order_; ++i) {
    for (int j = 0; j < order_; ++j) {
      ASSERT_EQ(transposed[i * order_ + j], matrix_[j * order_ + i]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Orders, HadamardMatrices, testing::ValuesIn(kHadamardOrders));

TEST(HadamardOrder, IsThatOfPublishedSizes) {
  const std::pair<int64_t, int> sizes[] = {
      {1, 1},      {4096, 1},   {11008, 172}, {14336, 28}, {28672, 28}, {13824, 108},
      {5120, 20},  {53248, 52}, {57344, 28},  {3072, 12},  {2304, 36},  {7680, 60},
      {6912, 108}, {1248, 156}, {1120, 140},  {3712, 116}, {3968, 124}, {131072, 1}};
  for (const auto& [size, order] : sizes) EXPECT_EQ(HadamardOrder(size), order) << size;
}

TEST(HadamardOrder, ExistsOnlyTimesAPowerOfTwo) {
  for (const int64_t size : {18944, 29568, 100, 6, 0, -12, 3360}) {
    EXPECT_EQ(HadamardOrder(size), std::nullopt) << size;
  }
}

TEST(HadamardSize, IsTheNearestThatExists) {
  EXPECT_EQ(NearestHadamardSize(11008, 32, 131072, 32), 11008);
  EXPECT_EQ(NearestHadamardSize(18944, 32, 131072, 32), 18432);
  EXPECT_EQ(NearestHadamardSize(48, 32, 131072, 32), 32) << "as far from 32 as from 64";
  EXPECT_EQ(NearestHadamardSize(-5, 32, 131072, 32), 32);
  EXPECT_EQ(NearestHadamardSize(int64_t{1} << 62, 32, 131072, 32), 131072);
}

}  // namespace
}  // namespace qtipd
