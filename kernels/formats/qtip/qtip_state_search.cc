#include "kernels/formats/qtip/qtip_state_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "hwy/aligned_allocator.h"
#include "kernels/api/huge_array.h"
#include "kernels/formats/qtip/qtip_state_search_simd.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {
namespace {

// Beside the boundaries of a tile, two that alternate.
constexpr int kExtraSlots = 3;

// What depends on code and table alone.
struct Tables final : QtipSearchTables {
  Tables(const QtipCodeSpec& code, std::span<const uint16_t> tlut)
      : spec(code),
        table(MakeQtipTable(code, tlut)),
        narrow_order(MakeQtipStateOrder<QtipNarrowCosts>(code)),
        wide_order(MakeQtipStateOrder<QtipWideCosts>(code)) {
    for (float weight : table.weights) max_weight = std::max(max_weight, std::abs(weight));
  }

  std::unique_ptr<QtipSearch> MakeSearch() const override;

  int classes() const { return 1 << (spec.state_bits - spec.step_bits()); }
  template <typename Costs>
  const QtipStateOrder<Costs>& order() const {
    if constexpr (std::is_same_v<Costs, QtipNarrowCosts>) {
      return narrow_order;
    } else {
      return wide_order;
    }
  }

  const QtipCodeSpec spec;
  const QtipTable table;
  const QtipStateOrder<QtipNarrowCosts> narrow_order;
  const QtipStateOrder<QtipWideCosts> wide_order;
  float max_weight = 0;
};

// Both passes over one tile, in one arithmetic.
template <typename Costs>
class TwoPasses {
 public:
  using Cost = typename Costs::Cost;
  using Weight = typename Costs::Weight;

  explicit TwoPasses(const Tables& tables)
      : tables_(tables),
        spec_(tables.spec),
        weights_(hwy::AllocateAligned<Weight>(tables.table.weights.size())),
        samples_(hwy::AllocateAligned<Weight>(kQtipTileWeights)),
        bases_(hwy::AllocateAligned<Cost>(spec_.steps())),
        history_(AllocateHuge<Cost>(size_t(spec_.steps() + kExtraSlots) * tables.classes())) {}

  // Weights and samples are held times `scale`; 1 for fp32.
  void SetScale(float scale) {
    if (scale == scale_) return;
    scale_ = scale;
    const auto& [lanes, states] = tables_.order<Costs>();
    const int dim = spec_.vector_dim;
    for (size_t i = 0; i < states.size(); ++i) {
      for (int f = 0; f < dim; ++f) {
        weights_[(i / lanes * dim + f) * lanes + i % lanes] =
            Scaled(tables_.table.weights[size_t{states[i]} * dim + f]);
      }
    }
  }

  // samples [256], states [steps]. Returns whether the path is certainly the best one of its pass.
  bool Run(const float* samples, uint16_t* states) {
    is_exact_ = true;
    const int half = spec_.steps() / 2;
    const QtipStatePass<Costs> free = Describe(half, 0);
    LoadSamples(samples, half);
    std::fill_n(Boundary(free, 0), tables_.classes(), Cost{0});
    QtipRunStatePass(free);
    const Cost* end = Boundary(free, spec_.steps());
    const int best = static_cast<int>(std::min_element(end, end + tables_.classes()) - end);
    const int seam = Trace(free, best, half, nullptr);

    // After so many steps from one class every class can be reached.
    const int reaching_steps = (spec_.state_bits - 1) / spec_.step_bits();
    const QtipStatePass<Costs> closed = Describe(0, reaching_steps);
    LoadSamples(samples, 0);
    std::fill_n(Boundary(closed, 0), tables_.classes(), Worst());
    Boundary(closed, 0)[seam] = 0;
    QtipRunStatePass(closed);
    return Trace(closed, seam, 0, states) == seam && is_exact_;
  }

 private:
  static constexpr bool kIsInteger = std::is_integral_v<Cost>;
  using Sum = std::conditional_t<kIsInteger, int32_t, float>;

  static constexpr Cost Worst() {
    return kIsInteger ? std::numeric_limits<Cost>::max() : std::numeric_limits<Cost>::infinity();
  }

  Weight Scaled(float value) const {
    if constexpr (kIsInteger) {
      return static_cast<Weight>(std::lrint(value * scale_));
    } else {
      return value;
    }
  }

  QtipStatePass<Costs> Describe(int first_kept, int unnormalised_steps) {
    QtipStatePass<Costs> pass;
    pass.spec = spec_;
    pass.samples = samples_.get();
    pass.weights = weights_.get();
    pass.history = history_.get();
    pass.first_kept = first_kept;
    pass.unnormalised_steps = unnormalised_steps;
    pass.bases = bases_.get();
    return pass;
  }

  Cost* Boundary(const QtipStatePass<Costs>& pass, int boundary) const {
    return pass.history + size_t(QtipHistorySlot(boundary, pass.first_kept)) * tables_.classes();
  }

  // Step t of the pass sees step t + first_step of the tile.
  void LoadSamples(const float* samples, int first_step) {
    for (int i = 0; i < kQtipTileWeights; ++i) {
      samples_[i] = Scaled(samples[(i + first_step * spec_.vector_dim) % kQtipTileWeights]);
    }
  }

  // The squared error of sample i as a pass has it; `saturates` is set where it is too small.
  Sum Metric(float weight, int i, bool& saturates) const {
    if constexpr (kIsInteger) {
      int32_t difference = int32_t{Scaled(weight)} - samples_[i];
      if (QtipDoublesDifferences(spec_.bits)) difference *= 2;
      saturates = saturates || std::abs(difference) > std::numeric_limits<int16_t>::max();
      difference = std::clamp(difference, -32768, 32767);
      return (difference * difference + (1 << 14)) >> 15;
    } else {
      const float difference = weight - samples_[i];
      return difference * difference;
    }
  }

  Sum StateMetric(int state, int step, bool& saturates) const {
    const float* weights = &tables_.table.weights[size_t(state) * spec_.vector_dim];
    Sum metric = Metric(weights[0], step * spec_.vector_dim, saturates);
    if (spec_.vector_dim == 2) metric += Metric(weights[1], step * 2 + 1, saturates);
    return metric;
  }

  // Walks back from class `p` at the last boundary to boundary `stop` and returns the class there.
  // Where `states` is given, writes the states of the steps passed.
  int Trace(const QtipStatePass<Costs>& pass, int p, int stop, uint16_t* states) {
    int64_t path_cost = kIsInteger ? static_cast<int64_t>(Boundary(pass, spec_.steps())[p]) : 0;
    for (int t = spec_.steps() - 1; t >= stop; --t) {
      const int state = StepBack(Boundary(pass, t), p, t);
      if (states != nullptr) states[t] = static_cast<uint16_t>(state);
      p = state >> spec_.step_bits();
      if constexpr (kIsInteger) {
        bool saturates = false;
        path_cost += int64_t{pass.bases[t]} - StateMetric(state, t, saturates);
        is_exact_ = is_exact_ && !saturates;
      }
    }
    if constexpr (kIsInteger) is_exact_ = is_exact_ && path_cost == Boundary(pass, stop)[p];
    return p;
  }

  // The state of step t on the best path into class p, the lowest of equal ones.
  int StepBack(const Cost* before, int p, int t) const {
    const int class_bits = spec_.state_bits - spec_.step_bits();
    Sum best = std::numeric_limits<Sum>::max();
    int best_state = p;
    for (int j = 0; j < 1 << spec_.step_bits(); ++j) {
      const int state = (j << class_bits) | p;
      bool saturates = false;
      const Sum cost = StateMetric(state, t, saturates) + Sum{before[state >> spec_.step_bits()]};
      if (cost < best) {
        best = cost;
        best_state = state;
      }
    }
    return best_state;
  }

  const Tables& tables_;
  const QtipCodeSpec spec_;
  hwy::AlignedFreeUniquePtr<Weight[]> weights_;
  hwy::AlignedFreeUniquePtr<Weight[]> samples_;
  hwy::AlignedFreeUniquePtr<Cost[]> bases_;
  HugeArray<Cost> history_;
  float scale_ = 0;
  bool is_exact_ = true;
};

class StateSearch final : public QtipSearch {
 public:
  explicit StateSearch(const Tables& tables) : tables_(tables), narrow_(tables) {}

  int batch_tiles() const override { return 1; }
  int64_t wide_tiles() const override { return wide_tiles_; }

  void EncodeBatch(int tiles, const float* samples, uint16_t* states) override {
    for (int tile = 0; tile < tiles; ++tile) {
      EncodeTile(samples + tile * kQtipTileWeights, states + tile * tables_.spec.steps());
    }
  }

 private:
  // 16-bit differences reach to the range of table and samples. It grows in few sizes, because
  // every other scale rewrites the table.
  static constexpr float kFirstRange = 1.25f;  // times the largest weight
  static constexpr float kNextRange = 1.5f;
  static constexpr int kRanges = 3;
  static constexpr float kLargest = 32700.0f;

  // Units of 16-bit weights and samples, or 0 where no range holds the tile.
  float NarrowScale(const float* samples) const {
    float largest = 0;
    for (int i = 0; i < kQtipTileWeights; ++i) largest = std::max(largest, std::abs(samples[i]));
    float range = kFirstRange * tables_.max_weight;
    for (int i = 0; i < kRanges; ++i, range *= kNextRange) {
      if (largest <= range) return kLargest / range;
    }
    return 0;
  }

  void EncodeTile(const float* samples, uint16_t* states) {
    if (const float scale = NarrowScale(samples); scale > 0) {
      narrow_.SetScale(scale);
      if (narrow_.Run(samples, states)) return;
    }
    if (wide_ == nullptr) {
      wide_ = std::make_unique<TwoPasses<QtipWideCosts>>(tables_);
      wide_->SetScale(1);
    }
    wide_->Run(samples, states);
    ++wide_tiles_;
  }

  const Tables& tables_;
  TwoPasses<QtipNarrowCosts> narrow_;
  std::unique_ptr<TwoPasses<QtipWideCosts>> wide_;
  int64_t wide_tiles_ = 0;
};

std::unique_ptr<QtipSearch> Tables::MakeSearch() const {
  return std::make_unique<StateSearch>(*this);
}

}  // namespace

std::unique_ptr<QtipSearchTables> MakeQtipStateSearchTables(const QtipCodeSpec& spec,
                                                            std::span<const uint16_t> tlut) {
  return std::make_unique<Tables>(spec, tlut);
}

uint64_t QtipStateSearchBytes(const QtipCodeSpec& spec) {
  constexpr uint64_t kBothCosts = sizeof(uint16_t) + sizeof(float);
  constexpr uint64_t kHugePages = uint64_t{4} << 20;  // what rounding up to them takes
  const uint64_t classes = uint64_t{1} << (spec.state_bits - spec.step_bits());
  const uint64_t history = (spec.steps() + kExtraSlots) * classes;
  const uint64_t weights = uint64_t(spec.states()) * spec.vector_dim;
  return kBothCosts * (history + weights) + kHugePages;
}

}  // namespace qtipd
