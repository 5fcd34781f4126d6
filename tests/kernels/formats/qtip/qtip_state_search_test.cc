// The encoder of all codes but `hyb` in kernel layout, which qtip_viterbi_test.cc has.
#include "kernels/formats/qtip/qtip_state_search.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/kernels/formats/qtip/golden_file.h"
#include "tests/kernels/formats/qtip/qtip_search_test.h"

namespace qtipd {
namespace {

QtipCodeSpec SpecOf(QtipCode code, int bits, int vector_dim = 1, int state_bits = 16) {
  const int table_bits = QtipCodeInfoOf(code).table_bits;
  return {code, bits, state_bits, vector_dim, table_bits < 0 ? state_bits : table_bits};
}

struct Encoded {
  std::vector<uint16_t> states;
  int64_t wide_tiles = 0;
};

Encoded Encode(const QtipCodeSpec& spec, std::span<const uint16_t> tlut,
               const std::vector<float>& samples, int threads = 1) {
  ThreadPool pool(threads);
  QtipEncoder encoder(spec, tlut);
  Encoded result;
  result.states.resize(samples.size() / spec.vector_dim);
  EXPECT_TRUE(encoder.Encode(pool, samples, result.states, [](int64_t) { return true; }));
  result.wide_tiles = encoder.wide_tiles();
  return result;
}

class GoldenCode : public testing::TestWithParam<std::string> {};

TEST_P(GoldenCode, CostsNoMoreThanTheGoldenEncoder) {
  const GoldenFile golden("qtip_v1");
  std::vector<float> samples = golden.Floats("v1/S");
  for (float& sample : samples) sample = HalfToFloat(FloatToHalf(sample));
  for (int bits : {2, 3, 4}) {
    const QtipCodeSpec spec = SpecOf(*FindQtipCode(GetParam()), bits);
    std::vector<uint16_t> tlut = QtipDefaultTable(spec);
    if (spec.code == QtipCode::kLut) {
      std::ranges::transform(golden.Floats("v1/lut/table_fp32"), tlut.begin(), FloatToHalf);
    }
    const QtipTable table = MakeQtipTable(spec, tlut);
    const Encoded encoded = Encode(spec, tlut, samples, 2);
    const double golden_cost = TotalCost(
        samples, golden.Words("v1/" + GetParam() + "/" + GoldenKey(bits, "states_u16")), table);
    const double cost = TotalCost(samples, encoded.states, table);
    RecordProperty(GoldenKey(bits, "cost_over_golden"), std::to_string(cost / golden_cost));
    EXPECT_EQ(BrokenSteps(encoded.states, spec), 0);
    EXPECT_LE(cost, golden_cost * 1.001) << bits;
    EXPECT_LE(encoded.wide_tiles, 1) << bits;
  }
}

INSTANTIATE_TEST_SUITE_P(Codes, GoldenCode,
                         testing::Values("1mad", "2mad", "3inst", "quantlut", "lut"));

// Every way of walking the trellis: many classes, few, one state at a time; windows of all sizes.
TEST(QtipStateSearch, FindsThePathOfThePlainAlgorithm) {
  const std::vector<float> samples = GaussianTiles(2, 0.9f);
  for (int bits = kQtipMinBits; bits <= kQtipMaxBits; ++bits) {
    for (int vector_dim : {1, 2}) {
      for (int state_bits : {8, 9, 12, 13}) {
        const QtipCodeSpec spec = SpecOf(QtipCode::kLut, bits, vector_dim, state_bits);
        const std::vector<uint16_t> tlut = QtipDefaultTable(spec);
        const Encoded encoded = Encode(spec, tlut, samples);
        PlainViterbi plain(spec, tlut);
        const double expected = plain.Cost(std::span(samples).first(kQtipTileWeights)) +
                                plain.Cost(std::span(samples).last(kQtipTileWeights));
        const std::string name = QtipSpecText(spec);
        EXPECT_EQ(BrokenSteps(encoded.states, spec), 0) << name;
        EXPECT_NEAR(TotalCost(samples, encoded.states, MakeQtipTable(spec, tlut)), expected,
                    3e-3 * expected)
            << name;
      }
    }
  }
}

TEST(QtipStateSearch, EncodesOutliersWithWideCosts) {
  std::vector<float> samples = GaussianTiles(3, 0.9f);
  samples[kQtipTileWeights + 17] = 60;
  for (int bits = kQtipMinBits; bits <= kQtipMaxBits; ++bits) {
    const QtipCodeSpec spec = SpecOf(QtipCode::k1Mad, bits, 1, 12);
    const Encoded encoded = Encode(spec, {}, samples);
    EXPECT_EQ(BrokenSteps(encoded.states, spec), 0);
    EXPECT_EQ(encoded.wide_tiles, 1);
    const auto tile = std::span(samples).subspan(kQtipTileWeights, kQtipTileWeights);
    const double cost =
        QtipPathCost(tile, std::span(encoded.states).subspan(256, 256), MakeQtipTable(spec, {}));
    EXPECT_NEAR(cost, PlainViterbi(spec, {}).Cost(tile), 1e-4 * cost);
  }
}

TEST(QtipStateSearch, NeverSaturatesSilently) {
  // Samples far beyond the table: the difference to every weight saturates, so no tile may keep its
  // 16-bit path.
  std::vector<float> samples = GaussianTiles(2, 0.5f);
  for (float& sample : samples) sample += sample > 0 ? 6.5f : -6.5f;
  const QtipCodeSpec spec = SpecOf(QtipCode::k1Mad, 4, 1, 12);
  const Encoded encoded = Encode(spec, {}, samples);
  EXPECT_EQ(encoded.wide_tiles, 2);
}

TEST(QtipStateSearch, IsTheSameForAnyNumberOfThreads) {
  const std::vector<float> samples = GaussianTiles(7, 1.1f);
  for (QtipCode code : {QtipCode::k3Inst, QtipCode::kQuantLut}) {
    const QtipCodeSpec spec = SpecOf(code, 3, 1, 13);
    const std::vector<uint16_t> tlut = QtipDefaultTable(spec);
    EXPECT_EQ(Encode(spec, tlut, samples, 3).states, Encode(spec, tlut, samples, 1).states);
  }
}

TEST(QtipStateSearch, IsTheSameOnEveryInstructionSet) {
  std::vector<float> samples = GaussianTiles(2, 0.9f);
  samples[100] = 50;  // one tile with wide costs
  for (int bits = kQtipMinBits; bits <= kQtipMaxBits; ++bits) {
    for (int vector_dim : {1, 2}) {
      const QtipCodeSpec spec = SpecOf(QtipCode::kLut, bits, vector_dim, 12);
      const std::vector<uint16_t> tlut = QtipDefaultTable(spec);
      const std::vector<uint16_t> states = Encode(spec, tlut, samples).states;
      for (int64_t target : hwy::SupportedAndGeneratedTargets()) {
        const OnlyTargets only(target);
        EXPECT_EQ(Encode(spec, tlut, samples).states, states)
            << hwy::TargetName(target) << " " << QtipSpecText(spec);
      }
    }
  }
}

TEST(QtipStateSearch, IsTheSameOnEveryKindOfProcessor) {
  std::vector<float> samples = GaussianTiles(3, 0.9f);
  samples[100] = 50;  // one tile with wide costs
  // Of x86-64; ties and roundings that fell otherwise anywhere would change them.
  const struct {
    QtipCode code;
    int bits;
    int vector_dim;
    uint64_t hash;
  } kExpected[] = {
      {QtipCode::k1Mad, 1, 1, 0x5483c72052556bfd},     {QtipCode::k1Mad, 3, 1, 0xe9d58f81ffbc1b24},
      {QtipCode::k2Mad, 2, 1, 0xc3a638f07bca5797},     {QtipCode::k3Inst, 4, 1, 0xd63b74277bdb3197},
      {QtipCode::kQuantLut, 2, 1, 0x838b9da233a998cb}, {QtipCode::kLut, 2, 2, 0xe74828bddadf46d5},
      {QtipCode::kLut, 4, 2, 0xdbda3ec71216ec4d},
  };
  for (const auto& expected : kExpected) {
    const QtipCodeSpec spec = SpecOf(expected.code, expected.bits, expected.vector_dim);
    EXPECT_EQ(HashOfStates(Encode(spec, QtipDefaultTable(spec), samples).states), expected.hash)
        << QtipSpecText(spec);
  }
}

TEST(QtipStateSearch, ReproducesWhatTheTrellisCanExpress) {
  // Every bit string is a path; the encoder must find it, or another of cost zero.
  for (int bits = kQtipMinBits; bits <= kQtipMaxBits; ++bits) {
    const QtipCodeSpec spec = SpecOf(QtipCode::k1Mad, bits);
    const QtipTable table = MakeQtipTable(spec, {});
    std::vector<float> samples(kQtipTileWeights);
    const auto bit = [&](int i) {
      return RandomBits(9, RandomStream::kTest, i % (256 * bits)) & 1;
    };
    for (int t = 0; t < 256; ++t) {
      uint32_t state = 0;
      for (int i = 0; i < 16; ++i) state = state << 1 | bit(t * bits + i);
      samples[t] = table.weights[state];
    }
    const Encoded encoded = Encode(spec, {}, samples);
    EXPECT_EQ(BrokenSteps(encoded.states, spec), 0);
    EXPECT_LT(TotalCost(samples, encoded.states, table), 1e-5);
  }
}

TEST(QtipStateSearch, BoundsItsScratchMemory) {
  const QtipCodeSpec widest = SpecOf(QtipCode::k1Mad, 1);
  EXPECT_LT(QtipEncoder::ScratchBytes(widest, 16), uint64_t{1} << 30);
  EXPECT_GT(QtipEncoder::ScratchBytes(widest, 1), 256u * 32768 * 6);
}

}  // namespace
}  // namespace qtipd
