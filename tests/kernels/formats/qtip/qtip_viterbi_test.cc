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
#include "kernels/formats/qtip/qtip_viterbi_simd.h"
#include "tests/kernels/formats/qtip/golden_file.h"

namespace qtipd {
namespace {

const auto kGoOn = [](int64_t) { return true; };

std::vector<float> GaussianTiles(int tiles, float rms) {
  std::vector<float> samples(tiles * kQtipTileWeights);
  FillNormal(3, RandomStream::kTest, 0, samples);
  for (float& sample : samples) sample *= rms;
  return samples;
}

double TotalCost(const std::vector<float>& samples, const std::vector<uint16_t>& states,
                 std::span<const uint16_t> tlut) {
  const QtipTable table = MakeQtipTable({}, tlut);
  double cost = 0;
  for (size_t tile = 0; tile < samples.size() / kQtipTileWeights; ++tile) {
    cost += QtipPathCost(std::span(samples).subspan(tile * kQtipTileWeights, kQtipTileWeights),
                         std::span(states).subspan(tile * kQtipSteps, kQtipSteps), table);
  }
  return cost;
}

int BrokenSteps(const std::vector<uint16_t>& states, int bits) {
  const int step_bits = QtipStepBits(bits);
  int broken = 0;
  for (size_t i = 0; i < states.size(); ++i) {
    const size_t next = i % kQtipSteps == kQtipSteps - 1 ? i + 1 - kQtipSteps : i + 1;
    broken += (states[i] & (0xFFFF >> step_bits)) != states[next] >> step_bits;
  }
  return broken;
}

// The two passes as the paper writes them, one tile, in double.
class PlainViterbi {
 public:
  PlainViterbi(int bits, std::span<const uint16_t> tlut) : shift_(QtipStepBits(bits)) {
    for (uint32_t state = 0; state < kQtipStates; ++state) {
      const uint32_t pair = QtipHybDecode(state, tlut.data());
      weights_.push_back({HalfToFloat(static_cast<uint16_t>(pair)),
                          HalfToFloat(static_cast<uint16_t>(pair >> 16))});
    }
  }

  double Cost(std::span<const float> x) {
    std::vector<float> rotated(x.begin() + 128, x.end());
    rotated.insert(rotated.end(), x.begin(), x.begin() + 128);
    Run(rotated, -1);
    return Run(x, path_[64] >> shift_);
  }

 private:
  double Run(std::span<const float> x, int seam) {
    const int classes = kQtipStates >> shift_;
    std::vector<double> cost(classes, 0.0), next(classes);
    if (seam >= 0) {
      cost.assign(classes, std::numeric_limits<double>::infinity());
      cost[seam] = 0;
    }
    std::vector<std::vector<int>> from(kQtipSteps, std::vector<int>(classes));
    for (int t = 0; t < kQtipSteps; ++t) {
      next.assign(classes, std::numeric_limits<double>::infinity());
      for (int state = 0; state < kQtipStates; ++state) {
        const double a = weights_[state][0] - x[2 * t], b = weights_[state][1] - x[2 * t + 1];
        const double total = cost[state >> shift_] + a * a + b * b;
        const int p = state & (classes - 1);
        if (total < next[p]) {
          next[p] = total;
          from[t][p] = state;
        }
      }
      cost = next;
    }
    int p = seam >= 0 ? seam : static_cast<int>(std::ranges::min_element(cost) - cost.begin());
    const double best = cost[p];
    for (int t = kQtipSteps - 1; t >= 0; --t) {
      path_[t] = from[t][p];
      p = path_[t] >> shift_;
    }
    return best;
  }

  int shift_;
  std::vector<std::array<double, 2>> weights_;
  std::array<int, kQtipSteps> path_;
};

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
  EXPECT_EQ(BrokenSteps(states, bits_), 0);
  EXPECT_LE(TotalCost(samples, states, tlut), golden_cost * 1.001);
  EXPECT_EQ(wide_tiles_, 0);
}

TEST_P(QtipViterbi, FindsThePathOfThePlainAlgorithm) {
  const std::vector<float> samples = GaussianTiles(2, 0.9f);
  const std::vector<uint16_t> states = Encode(samples, 1);
  PlainViterbi plain(bits_, QtipDefaultTlut());
  const double expected = plain.Cost(std::span(samples).first(kQtipTileWeights)) +
                          plain.Cost(std::span(samples).last(kQtipTileWeights));
  EXPECT_NEAR(TotalCost(samples, states, QtipDefaultTlut()), expected, 1e-3 * expected);
}

TEST_P(QtipViterbi, EncodesOutliersWithWideCosts) {
  std::vector<float> samples = GaussianTiles(3, 0.9f);
  samples[kQtipTileWeights + 17] = 60;
  const std::vector<uint16_t> states = Encode(samples, 1);
  EXPECT_EQ(BrokenSteps(states, bits_), 0);
  EXPECT_EQ(wide_tiles_, 1);
  PlainViterbi plain(bits_, QtipDefaultTlut());
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

// Makes Highway choose among `targets` alone while it lives.
class OnlyTargets {
 public:
  explicit OnlyTargets(int64_t targets) { Set(targets); }
  ~OnlyTargets() { Set(0); }

 private:
  static void Set(int64_t targets) {
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

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
  EXPECT_EQ(BrokenSteps(states, bits_), 0);
  EXPECT_LT(TotalCost(samples, states, QtipDefaultTlut()), 1e-9);
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
