// The order that the CUDA kernels read, against its description, on the host.
#include "kernels/formats/int4/int4_cuda_layout.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/kernels/formats/int4/int4_random_layer.h"

namespace qtipd {
namespace {

const RandomInt4Case kCases[] = {
    {{16, 128}},
    {{8, 8}, -1},
    {{24, 40}, -1, false},
    {{40, 32}, 32, false, false},
    {{32, 2496}, 64},
    {{136, 160}, 32, false},
    {{48, 384}, 128, false, true, true},
    {{72, 1000}, -1, false, false, true},
};

class Int4CudaLayoutTest : public testing::TestWithParam<RandomInt4Case> {
 protected:
  void SetUp() override {
    ThreadPool pool(2);
    Int4CudaRepack(pool, layer_, layout_, packed_.data());
  }

  const uint8_t* Unit(int64_t row, int64_t col) const {
    const int64_t unit = row / kInt4UnitRows * layout_.units + col / kInt4UnitCols;
    return packed_.data() + unit * layout_.record_bytes();
  }

  // As a kernel does: lane 4 g + t, word j, four bits for a row and one of four columns.
  int Code(int64_t row, int64_t col) const {
    const int64_t g = row % 8, upper = row / 8 % 2;
    const int64_t chunk = col % 128 / 32, t = col % 32 / 8, half = col % 8 / 4, i = col % 4;
    const int64_t lane = 4 * g + t, j = 2 * chunk + half;
    uint32_t word;
    std::memcpy(&word, Unit(row, col) + j / 4 * 512 + lane * 16 + j % 4 * 4, sizeof(word));
    constexpr int kPlace[] = {0, 4, 2, 6};  // of columns 0 to 3, that of row g + 8 one further
    return static_cast<int>(word >> 4 * (kPlace[i] + upper) & 15);
  }

  // Index of a row's scale among those of its unit.
  int64_t ScaleIndex(int64_t row, int64_t col) const {
    const int64_t entry = col % 128 / (128 / layout_.scales_per_unit);
    return entry * 16 + row % 8 * 2 + row / 8 % 2;
  }

  uint16_t ScaleBits(int64_t row, int64_t col) const {
    uint16_t bits;
    std::memcpy(&bits, Unit(row, col) + 1024 + 2 * ScaleIndex(row, col), sizeof(bits));
    return bits;
  }

  int Zero(int64_t row, int64_t col) const {
    return Unit(row, col)[1024 + 32 * layout_.scales_per_unit + ScaleIndex(row, col)];
  }

  const Int4Layer layer_ = RandomInt4Layer(GetParam(), 3);
  const Int4CudaLayout layout_{layer_.shape(), layer_.spec()};
  std::vector<uint8_t> packed_ = std::vector<uint8_t>(layout_.bytes(), 0xFF);
};

TEST_P(Int4CudaLayoutTest, HoldsEveryCodeScaleAndZeroPoint) {
  const auto [out, in] = layer_.shape();
  for (int64_t row = 0; row < out; ++row) {
    for (int64_t col = 0; col < in; ++col) {
      const int64_t group = col / layer_.spec().group_size;
      ASSERT_EQ(Code(row, col), layer_.Code(row, col)) << row << " " << col;
      ASSERT_EQ(ScaleBits(row, col), layer_.ScaleBits(group, row)) << row << " " << col;
      if (!layout_.has_zeros) continue;
      ASSERT_EQ(Zero(row, col), layer_.Zero(group, row)) << row << " " << col;
    }
  }
}

TEST_P(Int4CudaLayoutTest, FillsUpWithZeros) {
  const auto [out, in] = layer_.shape();
  for (int64_t row = 0; row < layout_.row_blocks * kInt4UnitRows; ++row) {
    for (int64_t col = 0; col < layout_.units * kInt4UnitCols; ++col) {
      if (row < out && col < in) continue;
      ASSERT_EQ(Code(row, col), 0) << row << " " << col;
      ASSERT_TRUE(row < out || ScaleBits(row, col) == 0) << row << " " << col;
    }
  }
}

TEST_P(Int4CudaLayoutTest, ReadsNoMoreThanItHolds) {
  const auto [out, in] = layer_.shape();
  EXPECT_EQ(layout_.record_bytes() % 16, 0);
  EXPECT_LE(layout_.read_bytes(layer_.shape()), static_cast<uint64_t>(layout_.bytes()));
  if (out % kInt4UnitRows == 0 && in % kInt4UnitCols == 0) {
    EXPECT_EQ(layout_.read_bytes(layer_.shape()), static_cast<uint64_t>(layout_.bytes()));
  }
}

INSTANTIATE_TEST_SUITE_P(Layers, Int4CudaLayoutTest, testing::ValuesIn(kCases),
                         [](const auto& info) { return RandomInt4Name(info.param); });

}  // namespace
}  // namespace qtipd
