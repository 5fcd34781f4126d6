#include "kernels/formats/lut/lut_spec.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/api/error.h"
#include "tests/kernels/formats/lut/lut_test_layers.h"

namespace qtipd {
namespace {

TEST(LutPacking, TakesExactlyTheBitsOfEveryIndex) {
  for (const int bits : {1, 2, 3, 4, 8}) {
    std::vector<uint8_t> indices(48);
    for (size_t i = 0; i < indices.size(); ++i) {
      indices[i] = static_cast<uint8_t>(RandomBits(7, RandomStream::kTest, i) % (1 << bits));
    }
    // Guarded, so that a byte too many is seen.
    std::vector<uint8_t> packed(indices.size() * bits / 8 + 1, 0xA5);
    PackLutRow(indices, bits, packed.data());
    EXPECT_EQ(packed.back(), 0xA5) << bits;
    std::vector<uint8_t> expected(indices.size() * bits / 8);
    for (size_t i = 0; i < indices.size() * bits; ++i) {
      const int bit = indices[i / bits] >> (i % bits) & 1;
      expected[i / 8] |= static_cast<uint8_t>(bit << (i % 8));
    }
    packed.pop_back();
    EXPECT_EQ(packed, expected) << bits;
    for (size_t i = 0; i < indices.size(); ++i) {
      EXPECT_EQ(LutIndex(packed.data(), bits, static_cast<int64_t>(i)), indices[i]) << bits;
    }
  }
}

TEST(LutPacking, PutsTheFirstOfEightIndicesOfThreeBitsLowest) {
  const std::vector<uint8_t> indices = {1, 2, 3, 4, 5, 6, 7, 0};
  uint8_t packed[3];
  PackLutRow(indices, 3, packed);
  // 000 111 110 101 100 011 010 001 as a number of 24 bits.
  EXPECT_EQ(packed[0], 0b11010001);
  EXPECT_EQ(packed[1], 0b01011000);
  EXPECT_EQ(packed[2], 0b00011111);
}

std::string Refusal(const std::map<std::string, OptionValue>& given, Shape shape) {
  const absl::Status status = CheckLutShape(LutSpecOf(LutOptions(given)), shape);
  if (status.ok()) return "accepted";
  const ErrorInfo info = GetErrorInfo(status);
  return info.reason + " " + info.metadata.at("field") + ": " + info.metadata.at("got") +
         ", allowed " + info.metadata.at("allowed");
}

TEST(LutShape, IsWholeBlocksAndTheNearestIsNamed) {
  EXPECT_EQ(Refusal({}, {3, 128}), "accepted");
  EXPECT_EQ(Refusal({}, {3, 100}),
            "SHAPE_UNSUPPORTED shape: 3x100, allowed in_features a multiple of 64, option "
            "block_size; nearest 3x128");
  EXPECT_EQ(Refusal({{"block_size", int64_t{0}}}, {1, 24}),
            "SHAPE_UNSUPPORTED shape: 1x24, allowed in_features a multiple of 16 without blocks; "
            "nearest 1x32");
  EXPECT_EQ(Refusal({}, {0, 64}),
            "SHAPE_UNSUPPORTED shape: 0x64, allowed in_features a multiple of 64, option "
            "block_size; nearest 1x64");
}

TEST(LutShape, RefusesMoreEntriesThanValuesAndNamesBoth) {
  EXPECT_EQ(Refusal({{"bits", int64_t{8}}}, {3, 64}),
            "CODEBOOK_TOO_LARGE bits: 8: 256 codebook entries for 192 values, allowed no more "
            "codebook entries than values: at most 4 bits");
  EXPECT_EQ(Refusal({{"bits", int64_t{8}}}, {4, 64}), "accepted");
  EXPECT_EQ(Refusal({{"bits", int64_t{8}}, {"codebook_per", std::string("channel")}}, {4, 64}),
            "CODEBOOK_TOO_LARGE bits: 8: 256 codebook entries for 64 values of an output channel, "
            "allowed no more codebook entries than values: at most 4 bits");
}

TEST(LutBytes, AreThoseOfTheTensors) {
  for (const int bits : {1, 2, 3, 4, 8}) {
    for (const int64_t block : {0, 32, 64, 128}) {
      for (const bool is_per_channel : {false, true}) {
        const LutSpec spec = {bits, block, is_per_channel, DType::kF16};
        uint64_t bytes = 0;
        for (const auto& [name, tensor] : RandomTensors(spec, {5, 256})) {
          bytes += tensor.bytes().size();
        }
        EXPECT_EQ(LutPackedBytes(spec, {5, 256}), bytes) << bits << " " << block;
      }
    }
  }
  // 3 bits a weight, 16 for every block of 64, 8 entries, and the shape.
  EXPECT_EQ(LutPackedBytes({.bits = 3}, {4096, 4096}), 6291456u + 524288u + 16u + 16u);
}

}  // namespace
}  // namespace qtipd
