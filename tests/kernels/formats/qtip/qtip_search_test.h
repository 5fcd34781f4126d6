// Paths through a trellis: how they are checked, and the search as the paper writes it.
#ifndef QTIPD_TESTS_KERNELS_FORMATS_QTIP_QTIP_SEARCH_TEST_H_
#define QTIPD_TESTS_KERNELS_FORMATS_QTIP_QTIP_SEARCH_TEST_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include "hwy/highway.h"
#include "kernels/api/random.h"
#include "kernels/formats/qtip/qtip_table.h"
#include "kernels/formats/qtip/qtip_viterbi.h"

namespace qtipd {

inline std::vector<float> GaussianTiles(int tiles, float rms) {
  std::vector<float> samples(tiles * kQtipTileWeights);
  FillNormal(3, RandomStream::kTest, 0, samples);
  for (float& sample : samples) sample *= rms;
  return samples;
}

inline double TotalCost(const std::vector<float>& samples, const std::vector<uint16_t>& states,
                        const QtipTable& table) {
  const size_t steps = kQtipTileWeights / table.vector_dim;
  double cost = 0;
  for (size_t tile = 0; tile < samples.size() / kQtipTileWeights; ++tile) {
    cost += QtipPathCost(std::span(samples).subspan(tile * kQtipTileWeights, kQtipTileWeights),
                         std::span(states).subspan(tile * steps, steps), table);
  }
  return cost;
}

// Steps whose successor is not one of the trellis; the last step's is the first of its tile.
inline int BrokenSteps(const std::vector<uint16_t>& states, const QtipCodeSpec& spec) {
  const size_t steps = spec.steps();
  const int class_bits = spec.state_bits - spec.step_bits();
  int broken = 0;
  for (size_t i = 0; i < states.size(); ++i) {
    const size_t next = i % steps == steps - 1 ? i + 1 - steps : i + 1;
    broken += (states[i] & ((1 << class_bits) - 1)) != states[next] >> spec.step_bits();
  }
  return broken;
}

// All states in one number (FNV-1a over their bytes), to compare a search with that of another kind
// of processor.
inline uint64_t HashOfStates(const std::vector<uint16_t>& states) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const uint16_t state : states) {
    for (const int byte : {state & 0xFF, state >> 8}) hash = (hash ^ byte) * 0x100000001b3;
  }
  return hash;
}

// Makes Highway choose among `targets` alone while it lives.
class OnlyTargets {
 public:
  explicit OnlyTargets(int64_t targets) { Set(targets); }
  ~OnlyTargets() { Set(0); }
  OnlyTargets(const OnlyTargets&) = delete;
  OnlyTargets& operator=(const OnlyTargets&) = delete;

 private:
  static void Set(int64_t targets) {
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

// The two passes as the paper writes them, one tile, in double.
class PlainViterbi {
 public:
  PlainViterbi(const QtipCodeSpec& spec, std::span<const uint16_t> tlut)
      : spec_(spec), table_(MakeQtipTable(spec, tlut)), path_(spec.steps()) {}

  double Cost(std::span<const float> x) {
    std::vector<float> rotated(x.begin() + 128, x.end());
    rotated.insert(rotated.end(), x.begin(), x.begin() + 128);
    Run(rotated, -1);
    return Run(x, path_[spec_.steps() / 2] >> spec_.step_bits());
  }

 private:
  double Run(std::span<const float> x, int seam) {
    const int classes = spec_.states() >> spec_.step_bits();
    std::vector<double> cost(classes, 0.0), next(classes);
    if (seam >= 0) {
      cost.assign(classes, std::numeric_limits<double>::infinity());
      cost[seam] = 0;
    }
    std::vector<std::vector<int>> from(spec_.steps(), std::vector<int>(classes));
    for (int t = 0; t < spec_.steps(); ++t) {
      next.assign(classes, std::numeric_limits<double>::infinity());
      for (int state = 0; state < spec_.states(); ++state) {
        double total = cost[state >> spec_.step_bits()];
        for (int f = 0; f < spec_.vector_dim; ++f) {
          const double error =
              table_.weights[state * spec_.vector_dim + f] - x[t * spec_.vector_dim + f];
          total += error * error;
        }
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
    for (int t = spec_.steps() - 1; t >= 0; --t) {
      path_[t] = from[t][p];
      p = path_[t] >> spec_.step_bits();
    }
    return best;
  }

  const QtipCodeSpec spec_;
  const QtipTable table_;
  std::vector<int> path_;
};

}  // namespace qtipd

#endif  // QTIPD_TESTS_KERNELS_FORMATS_QTIP_QTIP_SEARCH_TEST_H_
