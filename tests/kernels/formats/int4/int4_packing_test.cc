// Layers written by hand from descriptions of the checkpoints, and what they decode to.
//   GPTQ: qweight [in / 8, out], qzeros [groups, out / 8], scales [groups, out]; 4-bit numbers from
//   the lowest bits up, along the inputs in qweight and along the outputs in qzeros; format gptq
//   stores zero points less one, gptq_v2 as they are (github.com/casper-hansen/AutoAWQ/issues/101,
//   github.com/vllm-project/vllm/pull/26092).
//   AWQ: qweight [in, out / 8], packed along the outputs, whose eight numbers lie in the order 0,
//   2, 4, 6, 1, 3, 5, 7 from the lowest bits up (github.com/mit-han-lab/llm-awq).
#include <gtest/gtest.h>

#include "kernels/api/error.h"
#include "kernels/formats/int4/int4_awq.h"
#include "kernels/formats/int4/int4_format.h"

namespace qtipd {
namespace {

constexpr int64_t kOut = 8;
constexpr int64_t kIn = 64;  // two groups of 32

HostTensor Words(std::vector<int64_t> shape, std::vector<uint32_t> words) {
  return HostTensor::Take(DType::kI32, std::move(shape), std::move(words));
}

// Of group 0 1.0 for every row, of group 1 0.5, 1, 1.5, ...
HostTensor Scales() {
  std::vector<uint16_t> scales(2 * kOut, FloatToHalf(1));
  for (int row = 0; row < kOut; ++row) {
    scales[kOut + row] = FloatToHalf(0.5F * static_cast<float>(row + 1));
  }
  return HostTensor::Take(DType::kF16, {2, kOut}, scales);
}

// Row 0 has codes 0 to 7 in columns 0 to 7; row 3 has 15 to 8 in columns 40 to 47; all others 0.
TensorMap GptqLayer(uint32_t zeros_of_group_0, uint32_t zeros_of_group_1) {
  std::vector<uint32_t> qweight(kIn / 8 * kOut);
  qweight[0 * kOut + 0] = 0x76543210;
  qweight[5 * kOut + 3] = 0x89ABCDEF;
  return {{"qweight", Words({kIn / 8, kOut}, qweight)},
          {"qzeros", Words({2, 1}, {zeros_of_group_0, zeros_of_group_1})},
          {"scales", Scales()}};
}

std::vector<float> Weights(const TensorMap& tensors, std::map<std::string, OptionValue> given) {
  const auto format = MakeInt4Format();
  const auto layer = format->Import(tensors, given);
  EXPECT_TRUE(layer.ok()) << layer.status();
  if (!layer.ok()) return std::vector<float>(kOut * kIn);
  EXPECT_EQ(layer->shape, (Shape{kOut, kIn}));
  return *format->ReferenceWeights(*layer);
}

TEST(Int4Packing, ReadsGptqAlongTheInputs) {
  // Stored 7 is zero point 8 everywhere.
  const std::vector<float> w = Weights(GptqLayer(0x77777777, 0x77777777), {});
  for (int col = 0; col < 8; ++col) EXPECT_EQ(w[col], static_cast<float>(col - 8));
  EXPECT_EQ(w[8], -8);
  EXPECT_EQ(w[1 * kIn], -8);
  for (int col = 0; col < 8; ++col) {
    EXPECT_EQ(w[3 * kIn + 40 + col], 2.0F * static_cast<float>(15 - col - 8)) << col;
  }
  EXPECT_EQ(w[3 * kIn + 39], -16);  // group 1, code 0
  EXPECT_EQ(w[3 * kIn + 31], -8);   // group 0, code 0
}

TEST(Int4Packing, ReadsZeroPointsAlongTheOutputsOneMoreThanStored) {
  // Rows 0 to 7 have stored zeros 0 to 7, that is 1 to 8.
  const std::vector<float> w = Weights(GptqLayer(0x76543210, 0x77777777), {});
  for (int row = 0; row < kOut; ++row) {
    EXPECT_EQ(w[row * kIn + 20], static_cast<float>(-(row + 1))) << row;
  }
}

TEST(Int4Packing, TheGreatestStoredZeroPointIsSixteen) {
  const std::vector<float> w = Weights(GptqLayer(0x7777777F, 0x77777777), {});
  EXPECT_EQ(w[7], 7 - 16);
}

TEST(Int4Packing, ReadsZeroPointsOfVersionTwoAsTheyAre) {
  const std::vector<float> w =
      Weights(GptqLayer(0x76543210, 0x77777777), {{"checkpoint_format", std::string("gptq_v2")}});
  for (int row = 0; row < kOut; ++row) {
    EXPECT_EQ(w[row * kIn + 20], static_cast<float>(-row)) << row;
  }
}

TEST(Int4Packing, EightStoredEverywhereIsVersionTwo) {
  EXPECT_EQ(Weights(GptqLayer(0x88888888, 0x88888888), {})[5], 5 - 8);
  EXPECT_EQ(
      Weights(GptqLayer(0x88888888, 0x88888888), {{"checkpoint_format", std::string("gptq")}})[5],
      5 - 9);
}

TEST(Int4Packing, ReadsAwqAlongTheOutputsInItsOrder) {
  std::vector<uint32_t> qweight(kIn);
  qweight[2] = 0x76543210;   // column 2
  qweight[33] = 0x0000000F;  // column 33, row 0
  const TensorMap tensors = {{"qweight", Words({kIn, 1}, qweight)},
                             {"qzeros", Words({2, 1}, {0, 0x76543210})},
                             {"scales", Scales()}};
  const std::vector<float> w = Weights(tensors, {});
  const int numbers[kOut] = {0, 4, 1, 5, 2, 6, 3, 7};  // of rows 0 to 7
  for (int row = 0; row < kOut; ++row) {
    EXPECT_EQ(w[row * kIn + 2], static_cast<float>(numbers[row])) << row;
    EXPECT_EQ(w[row * kIn + 63], -0.5F * static_cast<float>((row + 1) * numbers[row])) << row;
  }
  EXPECT_EQ(w[33], 7.5F);
  EXPECT_EQ(w[1 * kIn + 33], -4);
}

TEST(Int4Packing, PutsAWordOfAwqInOrder) {
  EXPECT_EQ(Int4FromAwqOrder(0x76543210), 0x73625140u);
  EXPECT_EQ(Int4FromAwqOrder(0xF0000000), 0xF0000000u);
  EXPECT_EQ(Int4FromAwqOrder(0x000000F0), 0x00000F00u);
}

TEST(Int4Packing, ReadsScalesOfBothTypes) {
  TensorMap tensors = GptqLayer(0x77777777, 0x77777777);
  tensors["scales"] = HostTensor::Take(DType::kBF16, {2, kOut},
                                       std::vector<uint16_t>(2 * kOut, FloatToBfloat16(0.25F)));
  EXPECT_EQ(Weights(tensors, {})[1], -7 * 0.25F);
}

}  // namespace
}  // namespace qtipd
