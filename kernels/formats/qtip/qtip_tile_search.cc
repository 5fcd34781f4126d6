#include "kernels/formats/qtip/qtip_tile_search.h"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "hwy/aligned_allocator.h"
#include "kernels/api/dtype.h"
#include "kernels/formats/qtip/qtip_codebook.h"
#include "kernels/formats/qtip/qtip_tile_search_simd.h"

namespace qtipd {
namespace {

constexpr int kHalf = kQtipSteps / 2;

// Steps of cost per unit of squared error. For Gaussian samples the costs of all classes lie within
// 9.3 of the best at 2 bits, and closer at more, so that 65535 / scale leaves room.
float CostScale(int bits) { return bits == 2 ? 4096.0f : bits == 3 ? 8192.0f : 16384.0f; }

// Slots of history: every boundary 0..128, and two more that alternate.
constexpr int kHistorySlots = kQtipSteps + 3;

int ClassBits(int bits) { return kQtipStateBits - QtipStepBits(bits); }

// Row of branch metrics of a state: its table index, 512 more if the first weight is negated.
uint16_t MetricRow(uint32_t state) {
  const uint32_t hash = QtipHybHash(state);
  return static_cast<uint16_t>(QtipHybIndex(hash) + (QtipHybSign(hash) != 0 ? kQtipLutEntries : 0));
}

// What depends on bits and codebook alone.
class TileTables final : public QtipSearchTables {
 public:
  TileTables(int bits, std::span<const uint16_t> tlut) : bits_(bits) {
    std::transform(tlut.begin(), tlut.end(), lut_, HalfToFloat);
    FillOffsets(QtipViterbiLanes<uint16_t>(), offsets16_);
    FillOffsets(QtipViterbiLanes<float>(), offsets32_);
  }

  std::unique_ptr<QtipSearch> MakeSearch() const override;
  int bits() const { return bits_; }
  int classes() const { return 1 << ClassBits(bits_); }
  int branches() const { return 1 << QtipStepBits(bits_); }
  const float* lut() const { return lut_; }

  template <typename Cost>
  const uint16_t* offsets() const {
    return std::is_same_v<Cost, float> ? offsets32_ : offsets16_;
  }

  // First metric row offset of class `p`, branch 0, and the distance to the next branch.
  template <typename Cost>
  const uint16_t* BranchOffsets(int p, int& stride) const {
    const bool is_mirrored = p >= classes() / 2;
    const int low = is_mirrored ? classes() - 1 - p : p;
    const int j = is_mirrored ? branches() - 1 : 0;
    stride = is_mirrored ? -kQtipClassBlock : kQtipClassBlock;
    return offsets<Cost>() + ((low / kQtipClassBlock) * branches() + j) * kQtipClassBlock +
           low % kQtipClassBlock;
  }

 private:
  void FillOffsets(int lanes, uint16_t* offset) const {
    for (int first = 0; first < classes() / 2; first += kQtipClassBlock) {
      for (int j = 0; j < branches(); ++j) {
        for (int r = 0; r < kQtipClassBlock; ++r) {
          const uint32_t state = (static_cast<uint32_t>(j) << ClassBits(bits_)) | (first + r);
          *offset++ = static_cast<uint16_t>(MetricRow(state) * lanes);
        }
      }
    }
  }

  int bits_;
  float lut_[kQtipLutValues];
  uint16_t offsets16_[kQtipStates / 2];
  uint16_t offsets32_[kQtipStates / 2];
};

// Searches as many tiles as there are vector lanes.
template <typename Cost>
class LaneSearch {
 public:
  explicit LaneSearch(const TileTables& tables)
      : tables_(tables),
        lanes_(QtipViterbiLanes<Cost>()),
        samples_(hwy::AllocateAligned<float>(kQtipTileWeights * lanes_)),
        metrics_(hwy::AllocateAligned<Cost>(kQtipMetricRows * lanes_)),
        bases_(hwy::AllocateAligned<Cost>(kQtipSteps * lanes_)),
        history_(AllocateQtipHuge<Cost>(size_t{kHistorySlots} * tables.classes() * lanes_)),
        classes_(lanes_),
        path_costs_(lanes_) {}

  int lanes() const { return lanes_; }

  // samples [tiles][256], states [tiles][128], tiles <= lanes(). is_exact[i] tells whether the path
  // of tile i is certainly the best one of its passes; always true for fp32 costs.
  void Run(int tiles, const float* const* samples, uint16_t* const* states, bool* is_exact) {
    std::vector<int> seams(lanes_);
    std::fill(is_exact, is_exact + tiles, true);
    QtipForwardPass<Cost> pass = Describe();

    pass.first_kept = kHalf;
    LoadSamples(tiles, samples, kHalf);
    StartFree(pass);
    QtipRunForwardPass(pass);
    FindBestEnds(pass);
    Trace(pass, tiles, kHalf, nullptr, is_exact);
    std::copy(classes_.begin(), classes_.end(), seams.begin());

    pass.first_kept = 0;
    // After so many steps from one class every class can be reached.
    pass.unnormalised_steps = (ClassBits(tables_.bits()) - 1) / pass.step_bits + 1;
    LoadSamples(tiles, samples, 0);
    StartAt(pass, seams);
    QtipRunForwardPass(pass);
    Trace(pass, tiles, 0, states, is_exact);
    for (int i = 0; i < tiles; ++i) is_exact[i] = is_exact[i] && classes_[i] == seams[i];
  }

 private:
  static constexpr bool kIsInteger = std::is_integral_v<Cost>;
  static constexpr Cost Worst() {
    return kIsInteger ? std::numeric_limits<Cost>::max() : std::numeric_limits<Cost>::infinity();
  }

  QtipForwardPass<Cost> Describe() {
    QtipForwardPass<Cost> pass;
    pass.step_bits = QtipStepBits(tables_.bits());
    pass.scale = kIsInteger ? CostScale(tables_.bits()) : 1.0f;
    pass.lut = tables_.lut();
    pass.samples = samples_.get();
    pass.offsets = tables_.template offsets<Cost>();
    pass.metrics = metrics_.get();
    pass.history = history_.get();
    pass.bases = bases_.get();
    return pass;
  }

  Cost* Boundary(const QtipForwardPass<Cost>& pass, int boundary) const {
    return pass.history +
           size_t(QtipHistorySlot(boundary, pass.first_kept)) * tables_.classes() * lanes_;
  }

  // Step t of the pass sees step t + first_step of the tile. Lanes without a tile repeat the first.
  void LoadSamples(int tiles, const float* const* samples, int first_step) {
    for (int lane = 0; lane < lanes_; ++lane) {
      const float* tile = samples[lane < tiles ? lane : 0];
      for (int i = 0; i < kQtipTileWeights; ++i) {
        const int from = (i + first_step * kQtipVectorDim) % kQtipTileWeights;
        samples_[i * lanes_ + lane] = tile[from];
      }
    }
  }

  void StartFree(const QtipForwardPass<Cost>& pass) {
    std::fill_n(Boundary(pass, 0), size_t(tables_.classes()) * lanes_, Cost{0});
  }

  void StartAt(const QtipForwardPass<Cost>& pass, const std::vector<int>& classes) {
    Cost* start = Boundary(pass, 0);
    std::fill_n(start, size_t(tables_.classes()) * lanes_, Worst());
    for (int lane = 0; lane < lanes_; ++lane) start[classes[lane] * lanes_ + lane] = 0;
    classes_ = classes;  // tail-biting: the path ends in the class it starts from
  }

  void FindBestEnds(const QtipForwardPass<Cost>& pass) {
    const Cost* end = Boundary(pass, kQtipSteps);
    std::vector<Cost> best(end, end + lanes_);
    std::fill(classes_.begin(), classes_.end(), 0);
    for (int p = 1; p < tables_.classes(); ++p) {
      for (int lane = 0; lane < lanes_; ++lane) {
        const Cost cost = end[size_t(p) * lanes_ + lane];
        if (cost < best[lane]) {
          best[lane] = cost;
          classes_[lane] = p;
        }
      }
    }
  }

  // Walks back from classes_ at the last boundary to boundary `stop`, leaves the classes there in
  // classes_ and, where `states` is given, writes the states of the steps passed.
  void Trace(const QtipForwardPass<Cost>& pass, int tiles, int stop, uint16_t* const* states,
             bool* is_exact) {
    const Cost* end = Boundary(pass, kQtipSteps);
    for (int i = 0; i < tiles; ++i) path_costs_[i] = end[size_t(classes_[i]) * lanes_ + i];
    for (int t = kQtipSteps - 1; t >= stop; --t) {
      QtipBranchMetrics(pass, t);
      const Cost* before = Boundary(pass, t);
      for (int i = 0; i < tiles; ++i) {
        const int state = StepBack(pass, before, t, i);
        if (states != nullptr) states[i][t] = static_cast<uint16_t>(state);
        classes_[i] = state >> pass.step_bits;
      }
    }
    if constexpr (kIsInteger) {
      const Cost* begin = Boundary(pass, stop);
      for (int i = 0; i < tiles; ++i) {
        is_exact[i] = is_exact[i] && path_costs_[i] == begin[size_t(classes_[i]) * lanes_ + i];
      }
    }
  }

  // The state of step t on the best path into the class of tile i, the lowest of equal ones. Takes
  // the step's metric off the tile's path cost, which so ends at the cost of the boundary where the
  // walk stops, unless a sum on the way was saturated.
  int StepBack(const QtipForwardPass<Cost>& pass, const Cost* before, int t, int i) {
    const int p = classes_[i];
    const int branches = tables_.branches();
    const int branch_shift = kQtipStateBits - 2 * pass.step_bits;
    int stride = 0;
    const uint16_t* offset = tables_.template BranchOffsets<Cost>(p, stride);
    const Cost* from = before + size_t(p >> pass.step_bits) * lanes_ + i;
    using Sum = std::conditional_t<kIsInteger, int32_t, float>;
    Sum best = std::numeric_limits<Sum>::max();
    int best_branch = 0;
    for (int j = 0; j < branches; ++j, offset += stride) {
      const Sum cost = Sum{metrics_[*offset + i]} + Sum{from[(size_t(j) << branch_shift) * lanes_]};
      best_branch = cost < best ? j : best_branch;
      best = cost < best ? cost : best;
    }
    if constexpr (kIsInteger) {
      const Cost metric =
          metrics_[tables_.template BranchOffsets<Cost>(p, stride)[best_branch * stride] + i];
      path_costs_[i] += int64_t{bases_[t * lanes_ + i]} - metric;
    }
    return (best_branch << ClassBits(tables_.bits())) | p;
  }

  const TileTables& tables_;
  const int lanes_;
  hwy::AlignedFreeUniquePtr<float[]> samples_;
  hwy::AlignedFreeUniquePtr<Cost[]> metrics_;
  hwy::AlignedFreeUniquePtr<Cost[]> bases_;
  QtipHugeArray<Cost> history_;
  std::vector<int> classes_;         // by lane
  std::vector<int64_t> path_costs_;  // by lane
};

class TileSearch final : public QtipSearch {
 public:
  explicit TileSearch(const TileTables& tables) : tables_(tables), narrow_(tables) {}

  int batch_tiles() const override { return narrow_.lanes(); }
  int64_t wide_tiles() const override { return wide_tiles_; }

  void EncodeBatch(int tiles, const float* samples, uint16_t* states) override {
    std::vector<const float*> from(tiles);
    std::vector<uint16_t*> to(tiles);
    for (int i = 0; i < tiles; ++i) {
      from[i] = samples + i * kQtipTileWeights;
      to[i] = states + i * kQtipSteps;
    }
    const auto is_exact = std::make_unique<bool[]>(tiles);
    narrow_.Run(tiles, from.data(), to.data(), is_exact.get());
    int redo = 0;
    for (int i = 0; i < tiles; ++i) {
      if (is_exact[i]) continue;
      from[redo] = from[i];
      to[redo++] = to[i];
    }
    EncodeWide(redo, from.data(), to.data());
  }

 private:
  void EncodeWide(int tiles, const float* const* samples, uint16_t* const* states) {
    if (tiles == 0) return;
    if (wide_ == nullptr) wide_ = std::make_unique<LaneSearch<float>>(tables_);
    const auto is_exact = std::make_unique<bool[]>(wide_->lanes());
    for (int first = 0; first < tiles; first += wide_->lanes()) {
      const int count = std::min(wide_->lanes(), tiles - first);
      wide_->Run(count, samples + first, states + first, is_exact.get());
    }
    wide_tiles_ += tiles;
  }

  const TileTables& tables_;
  LaneSearch<uint16_t> narrow_;
  std::unique_ptr<LaneSearch<float>> wide_;
  int64_t wide_tiles_ = 0;
};

std::unique_ptr<QtipSearch> TileTables::MakeSearch() const {
  return std::make_unique<TileSearch>(*this);
}

}  // namespace

std::unique_ptr<QtipSearchTables> MakeQtipTileSearchTables(int bits,
                                                           std::span<const uint16_t> tlut) {
  return std::make_unique<TileTables>(bits, tlut);
}

uint64_t QtipTileSearchBytes(int bits) {
  constexpr uint64_t kVectorBytes = 64;
  const uint64_t history = uint64_t{kHistorySlots} * (1u << ClassBits(bits)) * kVectorBytes;
  const uint64_t rest = (kQtipMetricRows + 2 * kQtipTileWeights + kQtipSteps) * kVectorBytes;
  return 2 * (history + rest);
}

}  // namespace qtipd
