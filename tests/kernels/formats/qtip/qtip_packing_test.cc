#include "kernels/formats/qtip/qtip_packing.h"

#include <gtest/gtest.h>

#include <set>

#include "kernels/api/random.h"
#include "kernels/formats/qtip/qtip_codebook.h"
#include "kernels/formats/qtip/qtip_table.h"
#include "tests/kernels/formats/qtip/golden_file.h"

namespace qtipd {
namespace {

constexpr Shape kGoldenShape = {128, 256};

TEST(QtipLayout, PositionsAndElementsAreInverse) {
  std::set<int> seen;
  for (int p = 0; p < kQtipTileWeights; ++p) {
    const QtipElement at = QtipElementOf(p);
    EXPECT_EQ(QtipPositionOf(at.row, at.col), p);
    seen.insert(at.row * kQtipTileCols + at.col);
  }
  EXPECT_EQ(seen.size(), 256u);
}

TEST(QtipLayout, ChunksCoverEveryByteOnce) {
  for (int bits : {2, 3, 4}) {
    std::set<int64_t> bytes;
    for (int64_t row = 0; row < 4; ++row) {
      for (int64_t col = 0; col < 6; ++col) {
        for (int lane = 0; lane < kQtipTileLanes; ++lane) {
          for (int i = 0; i < bits; ++i) bytes.insert(QtipChunkOffset(bits, 6, row, col, lane) + i);
        }
      }
    }
    EXPECT_EQ(bytes.size(), 24u * QtipTileBytes(bits));
    EXPECT_EQ(*bytes.rbegin(), 24 * QtipTileBytes(bits) - 1);
  }
}

TEST(QtipCodebook, DecodesEveryStateBitExactly) {
  const GoldenFile golden("qtip_tables");
  const std::vector<uint16_t> tlut = golden.Words("hyb_tlut_fp16");
  const std::vector<uint16_t> expected = golden.Words("decode_hyb_fp16");
  ASSERT_EQ(expected.size(), 2u * kQtipStates);
  int wrong = 0;
  for (uint32_t state = 0; state < kQtipStates; ++state) {
    const uint32_t pair = QtipHybDecode(state, tlut.data());
    wrong += (pair & 0xFFFF) != expected[2 * state] || (pair >> 16) != expected[2 * state + 1];
  }
  EXPECT_EQ(wrong, 0);
}

TEST(QtipCodebook, IgnoresWhatStandsAboveTheState) {
  for (uint32_t state : {0u, 1u, 0x1234u, 0xFFFFu}) {
    EXPECT_EQ(QtipHybHash(state | 0xABCD0000u) & 0xFFFF, QtipHybHash(state) & 0xFFFF);
  }
}

class QtipPacking : public testing::TestWithParam<int> {
 protected:
  const int bits_ = GetParam();
  const GoldenFile golden_{"qtip_tcq"};
  const std::vector<uint16_t> plain_ = golden_.Words("hyb/" + GoldenKey(bits_, "packed_plain_u16"));
  const std::vector<uint16_t> kernel_ = golden_.Words("hyb/" + GoldenKey(bits_, "trellis"));
  const std::vector<uint16_t> states_ = golden_.Words("hyb/" + GoldenKey(bits_, "states_u16"));

  const QtipCodeSpec spec_{.bits = bits_};

  std::span<const uint16_t> States(int64_t tile) const {
    return std::span(states_).subspan(tile * kQtipSteps, kQtipSteps);
  }
};

TEST_P(QtipPacking, PacksGoldenStates) {
  std::vector<uint16_t> plain(plain_.size());
  std::vector<uint16_t> kernel(kernel_.size());
  for (int64_t tile = 0; tile < 128; ++tile) {
    const int words = QtipTileWords(bits_);
    QtipPlainFromStates(States(tile), spec_, std::span(plain).subspan(tile * words, words));
    QtipPackTile(States(tile), spec_, kGoldenShape, tile / 16, tile % 16, kernel);
  }
  EXPECT_EQ(plain, plain_);
  EXPECT_EQ(kernel, kernel_);
}

TEST_P(QtipPacking, UnpacksGoldenTiles) {
  for (int64_t tile = 0; tile < 128; ++tile) {
    const int words = QtipTileWords(bits_);
    std::array<uint16_t, kQtipSteps> from_plain, from_kernel;
    QtipStatesFromPlain(std::span(plain_).subspan(tile * words, words), spec_, from_plain);
    QtipUnpackTile(kernel_, spec_, kGoldenShape, tile / 16, tile % 16, from_kernel);
    ASSERT_TRUE(std::ranges::equal(from_plain, States(tile))) << tile;
    ASSERT_TRUE(std::ranges::equal(from_kernel, States(tile))) << tile;
  }
}

TEST_P(QtipPacking, EveryBitStringIsAPath) {
  constexpr Shape kShape = {64, 32};
  std::vector<uint16_t> trellis(QtipTrellisWords(64, 32, bits_));
  for (size_t i = 0; i < trellis.size(); ++i) {
    trellis[i] = static_cast<uint16_t>(RandomBits(1, RandomStream::kTest, i));
  }
  std::vector<uint16_t> again(trellis.size());
  for (int64_t tile = 0; tile < 8; ++tile) {
    std::array<uint16_t, kQtipSteps> states;
    QtipUnpackTile(trellis, spec_, kShape, tile / 2, tile % 2, states);
    for (int t = 0; t < kQtipSteps; ++t) {
      const int next = states[(t + 1) % kQtipSteps];
      EXPECT_EQ((states[t] << QtipStepBits(bits_) & 0xFFFF) >> QtipStepBits(bits_),
                next >> QtipStepBits(bits_));
    }
    QtipPackTile(states, spec_, kShape, tile / 2, tile % 2, again);
  }
  EXPECT_EQ(again, trellis);
}

TEST(QtipPlainPacking, ConvertsGoldenStatesOfCodesWithOneWeightAStep) {
  const GoldenFile golden("qtip_v1");
  for (const std::string code : {"1mad", "2mad", "3inst", "quantlut", "lut"}) {
    for (int bits : {2, 3, 4}) {
      const QtipCodeSpec spec{.code = *FindQtipCode(code), .bits = bits, .vector_dim = 1};
      const std::vector<uint16_t> states =
          golden.Words("v1/" + code + "/" + GoldenKey(bits, "states_u16"));
      const std::vector<uint16_t> packed =
          golden.Words("v1/" + code + "/" + GoldenKey(bits, "packed_u16"));
      std::vector<uint16_t> trellis(packed.size()), again(states.size());
      for (int64_t tile = 0; tile < 32; ++tile) {
        QtipPackTile(std::span(states).subspan(tile * 256, 256), spec, {64, 128}, tile / 8,
                     tile % 8, trellis);
        QtipUnpackTile(packed, spec, {64, 128}, tile / 8, tile % 8,
                       std::span(again).subspan(tile * 256, 256));
      }
      EXPECT_EQ(trellis, packed) << code << bits;
      EXPECT_EQ(again, states) << code << bits;
    }
  }
}

std::vector<uint16_t> RandomWords(int64_t count) {
  std::vector<uint16_t> words(count);
  for (int64_t i = 0; i < count; ++i) {
    words[i] = static_cast<uint16_t>(RandomBits(1, RandomStream::kTest, i));
  }
  return words;
}

TEST(QtipPlainPacking, EveryBitStringIsAPathOfEveryWindow) {
  for (int bits = kQtipMinBits; bits <= kQtipMaxBits; ++bits) {
    for (int vector_dim : {1, 2}) {
      for (int state_bits : {8, 11, 16}) {
        const QtipCodeSpec spec{QtipCode::kLut, bits, state_bits, vector_dim, state_bits};
        const std::vector<uint16_t> words = RandomWords(QtipTileWords(bits));
        std::vector<uint16_t> states(spec.steps()), again(words.size());
        QtipStatesFromPlain(words, spec, states);
        for (int t = 0; t < spec.steps(); ++t) {
          const int class_bits = state_bits - spec.step_bits();
          ASSERT_EQ(states[t] & ((1 << class_bits) - 1),
                    states[(t + 1) % spec.steps()] >> spec.step_bits());
        }
        QtipPlainFromStates(states, spec, again);
        EXPECT_EQ(again, words);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Bits, QtipPacking, testing::Values(2, 3, 4));

}  // namespace
}  // namespace qtipd
