#include "kernels/formats/qtip/qtip_viterbi.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <limits>
#include <set>
#include <string>

#include "hwy/highway.h"
#include "kernels/api/random.h"
#include "kernels/formats/qtip/qtip_codebook.h"
#include "kernels/formats/qtip/qtip_default_codebook.h"
#include "kernels/formats/qtip/qtip_tile_search_simd.h"
#include "tests/kernels/formats/qtip/golden_file.h"
#include "tests/kernels/formats/qtip/qtip_search_test.h"

namespace qtipd {
namespace {

const auto kGoOn = [](int64_t) { return true; };

class QtipViterbi : public testing::TestWithParam<int> {
 protected:
  std::vector<uint16_t> Encode(const std::vector<float>& samples, int threads,
                               std::span<const uint16_t> tlut = QtipDefaultTlut()) {
    ThreadPool pool(threads);
    QtipEncoder encoder({.bits = bits_}, tlut);
    std::vector<uint16_t> states(samples.size() / kQtipVectorDim);
    EXPECT_TRUE(encoder.Encode(pool, samples, states, kGoOn));
    wide_tiles_ = encoder.wide_tiles();
    return states;
  }

  const int bits_ = GetParam();
  int64_t wide_tiles_ = 0;
};

TEST_P(QtipViterbi, CostsNoMoreThanTheGoldenEncoder) {
  const GoldenFile tables("qtip_tables"), golden("qtip_tcq");
  const std::vector<uint16_t> tlut = tables.Words("hyb_tlut_fp16");
  std::vector<float> samples = TileSamples(golden.Floats("hyb/W"), 256);
  for (float& sample : samples) sample = HalfToFloat(FloatToHalf(sample * 0.8715684235095978f));
  double golden_cost = 0;
  for (float cost : golden.Floats("hyb/" + GoldenKey(bits_, "seq_cost"))) golden_cost += cost;
  const std::vector<uint16_t> states = Encode(samples, 2, tlut);
  EXPECT_EQ(BrokenSteps(states, {.bits = bits_}), 0);
  EXPECT_LE(TotalCost(samples, states, MakeQtipTable({}, tlut)), golden_cost * 1.001);
  EXPECT_EQ(wide_tiles_, 0);
}

TEST_P(QtipViterbi, FindsThePathOfThePlainAlgorithm) {
  const std::vector<float> samples = GaussianTiles(2, 0.9f);
  const std::vector<uint16_t> states = Encode(samples, 1);
  PlainViterbi plain({.bits = bits_}, QtipDefaultTlut());
  const double expected = plain.Cost(std::span(samples).first(kQtipTileWeights)) +
                          plain.Cost(std::span(samples).last(kQtipTileWeights));
  EXPECT_NEAR(TotalCost(samples, states, MakeQtipTable({}, QtipDefaultTlut())), expected,
              1e-3 * expected);
}

TEST_P(QtipViterbi, EncodesOutliersWithWideCosts) {
  std::vector<float> samples = GaussianTiles(3, 0.9f);
  samples[kQtipTileWeights + 17] = 60;
  const std::vector<uint16_t> states = Encode(samples, 1);
  EXPECT_EQ(BrokenSteps(states, {.bits = bits_}), 0);
  EXPECT_EQ(wide_tiles_, 1);
  PlainViterbi plain({.bits = bits_}, QtipDefaultTlut());
  const auto tile = std::span(samples).subspan(kQtipTileWeights, kQtipTileWeights);
  const double cost = QtipPathCost(tile, std::span(states).subspan(kQtipSteps, kQtipSteps),
                                   MakeQtipTable({}, QtipDefaultTlut()));
  EXPECT_NEAR(cost, plain.Cost(tile), 1e-4 * cost);
}

TEST_P(QtipViterbi, IsTheSameForAnyNumberOfThreadsAndTiles) {
  const std::vector<float> samples = GaussianTiles(71, 0.9f);
  const std::vector<uint16_t> states = Encode(samples, 1);
  EXPECT_EQ(Encode(samples, 3), states);
  const std::vector<float> first(samples.begin(), samples.begin() + 5 * kQtipTileWeights);
  EXPECT_TRUE(std::ranges::equal(Encode(first, 2), std::span(states).first(5 * kQtipSteps)));
}

TEST_P(QtipViterbi, IsTheSameOnEveryInstructionSet) {
  std::vector<float> samples = GaussianTiles(5, 0.9f);
  samples[700] = 50;  // one tile with wide costs
  const std::vector<uint16_t> states = Encode(samples, 1);
  std::vector<std::string> names;
  for (int64_t target : hwy::SupportedAndGeneratedTargets()) {
    const OnlyTargets only(target);
    names.emplace_back(QtipViterbiTarget());
    EXPECT_EQ(Encode(samples, 1), states) << names.back();
    EXPECT_EQ(wide_tiles_, 1) << names.back();
  }
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
}

TEST_P(QtipViterbi, IsTheSameOnEveryKindOfProcessor) {
  std::vector<float> samples = GaussianTiles(5, 0.9f);
  samples[700] = 50;  // one tile with wide costs
  // Of x86-64, at 2 to 4 bits; ties and roundings that fell otherwise anywhere would change them.
  constexpr uint64_t kExpected[] = {0x9fae3ed22fcdfe8f, 0xc554337db776b565, 0x385e94b0841de6fd};
  EXPECT_EQ(HashOfStates(Encode(samples, 1)), kExpected[bits_ - 2]);
}

TEST_P(QtipViterbi, ReproducesWhatTheTrellisCanExpress) {
  // Every bit string is a path; the encoder must find it, or another of cost zero.
  std::vector<uint16_t> path(kQtipSteps);
  std::vector<float> samples(kQtipTileWeights);
  const int step_bits = QtipStepBits(bits_);
  uint32_t bit_string[kQtipSteps + 4];
  for (int t = 0; t < kQtipSteps + 4; ++t) {
    bit_string[t] = RandomBits(9, RandomStream::kTest, t % kQtipSteps) & ((1u << step_bits) - 1);
  }
  for (int t = 0; t < kQtipSteps; ++t) {
    uint32_t window = 0;
    for (int i = 0; i < 4; ++i) window = (window << step_bits) | bit_string[t + i];
    const uint32_t state = window >> (4 * step_bits - kQtipStateBits) & 0xFFFF;
    const uint32_t pair = QtipHybDecode(state, QtipDefaultTlut().data());
    samples[2 * t] = HalfToFloat(static_cast<uint16_t>(pair));
    samples[2 * t + 1] = HalfToFloat(static_cast<uint16_t>(pair >> 16));
  }
  const std::vector<uint16_t> states = Encode(samples, 1);
  EXPECT_EQ(BrokenSteps(states, {.bits = bits_}), 0);
  EXPECT_LT(TotalCost(samples, states, MakeQtipTable({}, QtipDefaultTlut())), 1e-9);
}

TEST_P(QtipViterbi, StopsWhenToldTo) {
  ThreadPool pool(2);
  QtipEncoder encoder({.bits = bits_}, QtipDefaultTlut());
  const std::vector<float> samples = GaussianTiles(200, 0.9f);
  std::vector<uint16_t> states(samples.size() / kQtipVectorDim);
  std::atomic<int64_t> done = 0;
  EXPECT_FALSE(encoder.Encode(pool, samples, states, [&](int64_t tiles) {
    done += tiles;
    return false;
  }));
  EXPECT_LT(done, 200);
}

INSTANTIATE_TEST_SUITE_P(Bits, QtipViterbi, testing::Values(2, 3, 4));

}  // namespace
}  // namespace qtipd
