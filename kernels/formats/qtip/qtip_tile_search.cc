#include "kernels/formats/qtip/qtip_tile_search.h"

#include <algorithm>
#include <array>
#include <limits>

#include "hwy/aligned_allocator.h"
#include "kernels/api/dtype.h"
#include "kernels/api/huge_array.h"
#include "kernels/formats/qtip/qtip_codebook.h"
#include "kernels/formats/qtip/qtip_state_search.h"
#include "kernels/formats/qtip/qtip_tile_search_simd.h"

namespace qtipd {
namespace {

constexpr int kHalf = kQtipSteps / 2;

// Multiples of cost per unit of squared error. For Gaussian samples the costs of all classes lie
// within 9.3 of the best at 2 bits, and closer at more, so that the 12 or 16 bits of a cost leave
// room.
float CostScale(int bits) { return bits == 2 ? 288.0f : bits == 3 ? 8192.0f : 16384.0f; }

int ClassBits(int bits) { return kQtipStateBits - QtipStepBits(bits); }

// Row of branch metrics of a state.
int MetricRow(uint32_t state) {
  const uint32_t hash = QtipHybHash(state);
  return QtipMetricRow(static_cast<int>(QtipHybIndex(hash)), QtipHybSign(hash) != 0);
}

// What depends on bits and codebook alone.
class TileTables final : public QtipSearchTables {
 public:
  TileTables(int bits, std::span<const uint16_t> tlut)
      : bits_(bits), fallback_(MakeQtipStateSearchTables({.bits = bits}, tlut)) {
    std::transform(tlut.begin(), tlut.end(), lut_, HalfToFloat);
    uint16_t* offset = offsets_;
    for (int first = 0; first < classes() / 2; first += kQtipRowBlock) {
      for (int j = 0; j < branches(); ++j) {
        for (int r = 0; r < kQtipRowBlock; ++r) {
          *offset++ = static_cast<uint16_t>(MetricRow(StateOf(j, first + r)) * kQtipSearchTiles);
        }
      }
    }
  }

  std::unique_ptr<QtipSearch> MakeSearch() const override;
  int bits() const { return bits_; }
  int classes() const { return 1 << ClassBits(bits_); }
  int branches() const { return 1 << QtipStepBits(bits_); }
  uint32_t StateOf(int branch, int p) const {
    return (static_cast<uint32_t>(branch) << ClassBits(bits_)) | static_cast<uint32_t>(p);
  }
  const float* lut() const { return lut_; }
  const uint16_t* offsets() const { return offsets_; }
  const QtipSearchTables& fallback() const { return *fallback_; }

  // Metric offset of class `p`, branch 0, and the distance to the next branch.
  const uint16_t* BranchOffsets(int p, int& stride) const {
    const bool is_mirrored = p >= classes() / 2;
    const int row = is_mirrored ? classes() - 1 - p : p;
    const int j = is_mirrored ? branches() - 1 : 0;
    stride = is_mirrored ? -kQtipRowBlock : kQtipRowBlock;
    return offsets_ + ((row / kQtipRowBlock) * branches() + j) * kQtipRowBlock +
           row % kQtipRowBlock;
  }

 private:
  const int bits_;
  const std::unique_ptr<const QtipSearchTables> fallback_;
  float lut_[kQtipLutValues];
  uint16_t offsets_[kQtipStates / 2];
};

size_t CostCount(int bits) {
  return (size_t(QtipCostSlots(QtipStepBits(bits))) << ClassBits(bits)) * kQtipSearchTiles;
}

size_t PointerCount(int bits) {
  if (QtipPointerBits(QtipStepBits(bits)) == 0) return 0;
  return (size_t{kQtipSteps} << ClassBits(bits)) * kQtipSearchTiles / kQtipPointerRows;
}

// Searches 16 tiles at a time.
class TileSearch final : public QtipSearch {
 public:
  explicit TileSearch(const TileTables& tables)
      : tables_(tables),
        fallback_(tables.fallback().MakeSearch()),
        samples_(hwy::AllocateAligned<float>(kQtipTileWeights * kTiles)),
        metrics_(hwy::AllocateAligned<uint16_t>(kQtipMetricRows * kTiles)),
        bases_(hwy::AllocateAligned<uint16_t>(kQtipSteps * kTiles)),
        costs_(AllocateHuge<uint16_t>(CostCount(tables.bits()))),
        pointers_(AllocateHuge<uint16_t>(PointerCount(tables.bits()))) {
    pass_.step_bits = QtipStepBits(tables.bits());
    pass_.scale = CostScale(tables.bits());
    pass_.lut = tables.lut();
    pass_.samples = samples_.get();
    pass_.offsets = tables.offsets();
    pass_.metrics = metrics_.get();
    pass_.costs = costs_.get();
    pass_.pointers = pointers_.get();
    pass_.bases = bases_.get();
  }

  int batch_tiles() const override { return kTiles; }
  int64_t wide_tiles() const override { return fallback_->wide_tiles(); }

  void EncodeBatch(int tiles, const float* samples, uint16_t* states) override {
    bool is_exact[kTiles];
    std::fill_n(is_exact, kTiles, true);
    pass_.first_kept = kHalf;
    pass_.unnormalised_steps = 0;
    LoadSamples(tiles, samples, kHalf);
    Start(0);
    QtipRunForwardPass(pass_);
    FindBestEnds();
    Trace(tiles, nullptr, is_exact);
    const Classes seams = classes_;

    pass_.first_kept = 0;
    // After so many steps from one class every class can be reached.
    pass_.unnormalised_steps = (ClassBits(tables_.bits()) - 1) / pass_.step_bits + 1;
    LoadSamples(tiles, samples, 0);
    StartAtClasses();  // tail-biting: the path ends in the class it starts from
    QtipRunForwardPass(pass_);
    Trace(tiles, states, is_exact);
    for (int i = 0; i < tiles; ++i) {
      if (is_exact[i] && classes_[i] == seams[i]) continue;
      fallback_->EncodeBatch(1, samples + i * kQtipTileWeights, states + i * kQtipSteps);
    }
  }

 private:
  static constexpr int kTiles = kQtipSearchTiles;
  using Classes = std::array<int, kTiles>;

  // Where a class's cost lies in a boundary.
  size_t Place(int p, int tile) const {
    const bool is_mirrored = p >= tables_.classes() / 2;
    const size_t row = is_mirrored ? tables_.classes() - 1 - p : p;
    return row * kQtipRowCosts + (is_mirrored ? kTiles : 0) + tile;
  }

  // The pointer bits of a cost of class `p`: the branch that it is in the next step.
  int Mark(int p) const {
    return pass_.pointer_bits() > 0 ? p >> (kQtipStateBits - 2 * pass_.step_bits) : 0;
  }
  int ValueOf(uint16_t cost) const { return cost >> pass_.pointer_bits() << pass_.pointer_bits(); }

  // Step t of the pass sees step t + first_step of the tile. Lanes without a tile repeat the first.
  void LoadSamples(int tiles, const float* samples, int first_step) {
    for (int lane = 0; lane < kTiles; ++lane) {
      const float* tile = samples + (lane < tiles ? lane : 0) * kQtipTileWeights;
      for (int i = 0; i < kQtipTileWeights; ++i) {
        const int from = (i + first_step * kQtipVectorDim) % kQtipTileWeights;
        samples_[i * kTiles + lane] = tile[from];
      }
    }
  }

  // The same cost for every class of every tile.
  void Start(int cost) {
    uint16_t* start = pass_.Costs(0);
    for (int p = 0; p < tables_.classes(); ++p) {
      std::fill_n(start + Place(p, 0), kTiles, static_cast<uint16_t>(ValueOf(cost) | Mark(p)));
    }
  }

  // Cost 0 for the class of each tile alone.
  void StartAtClasses() {
    Start(std::numeric_limits<uint16_t>::max());
    for (int i = 0; i < kTiles; ++i) {
      pass_.Costs(0)[Place(classes_[i], i)] = static_cast<uint16_t>(Mark(classes_[i]));
    }
  }

  void FindBestEnds() {
    const uint16_t* end = pass_.Costs(kQtipSteps);
    std::array<uint16_t, kTiles> best;
    best.fill(std::numeric_limits<uint16_t>::max());
    classes_.fill(0);
    for (int p = 0; p < tables_.classes(); ++p) {
      const uint16_t* costs = end + Place(p, 0);
      for (int i = 0; i < kTiles; ++i) {
        if (costs[i] >= best[i]) continue;
        best[i] = costs[i];
        classes_[i] = p;
      }
    }
  }

  // Walks back from classes_ at the last boundary to the first one that is kept, leaves the classes
  // there in classes_ and, where `states` is given, writes the states of the steps passed. Takes
  // each step's metric off the cost of the path, which so ends at the cost of the boundary where
  // the walk stops, unless a sum on the way was saturated: then the tile is not exact.
  void Trace(int tiles, uint16_t* states, bool* is_exact) {
    std::array<int64_t, kTiles> path_costs{};
    for (int i = 0; i < tiles; ++i) {
      path_costs[i] = ValueOf(pass_.Costs(kQtipSteps)[Place(classes_[i], i)]);
    }
    for (int t = kQtipSteps - 1; t >= pass_.first_kept; --t) {
      std::array<int, kTiles> branches{};
      alignas(64) uint16_t metrics[kTiles] = {};
      if (pass_.pointer_bits() > 0) {
        FollowPointers(t, tiles, branches.data(), metrics);
      } else {
        FindBranches(t, tiles, branches.data(), metrics);
      }
      for (int i = 0; i < tiles; ++i) {
        const uint32_t state = tables_.StateOf(branches[i], classes_[i]);
        if (states != nullptr) states[i * kQtipSteps + t] = static_cast<uint16_t>(state);
        classes_[i] = static_cast<int>(state >> pass_.step_bits);
        path_costs[i] += int64_t{bases_[t * kTiles + i]} - metrics[i];
      }
    }
    const uint16_t* begin = pass_.Costs(pass_.first_kept);
    for (int i = 0; i < tiles; ++i) {
      is_exact[i] = is_exact[i] && path_costs[i] == ValueOf(begin[Place(classes_[i], i)]);
    }
  }

  // Branch and metric of the best path into each tile's class.
  void FollowPointers(int t, int tiles, int* branches, uint16_t* metrics) {
    alignas(64) float weights[kQtipVectorDim * kTiles] = {};
    const uint16_t* pointers = pass_.Pointers(t);
    for (int i = 0; i < tiles; ++i) {
      const size_t place = Place(classes_[i], i);
      const size_t row = place / kQtipRowCosts;
      const uint16_t word =
          pointers[row / kQtipPointerRows * kQtipRowCosts + place % kQtipRowCosts];
      branches[i] = word >> (row % kQtipPointerRows * 4) & 15;
      const uint32_t hash = QtipHybHash(tables_.StateOf(branches[i], classes_[i]));
      const float* pair = pass_.lut + 2 * QtipHybIndex(hash);
      weights[i] = QtipHybSign(hash) != 0 ? -pair[0] : pair[0];
      weights[kTiles + i] = pair[1];
    }
    QtipPathMetrics(pass_, t, weights, metrics);
  }

  // The same by searching all branches again, the lowest of equal ones.
  void FindBranches(int t, int tiles, int* branches, uint16_t* metrics) {
    QtipBranchMetrics(pass_, t);
    const uint16_t* before = pass_.Costs(t);
    for (int i = 0; i < tiles; ++i) {
      int stride = 0;
      const uint16_t* offset = tables_.BranchOffsets(classes_[i], stride);
      int best = std::numeric_limits<int>::max();
      for (int j = 0; j < tables_.branches(); ++j, offset += stride) {
        const int from = static_cast<int>(tables_.StateOf(j, classes_[i]) >> pass_.step_bits);
        const int cost = metrics_[*offset + i] + before[Place(from, i)];
        if (cost >= best) continue;
        best = cost;
        branches[i] = j;
        metrics[i] = metrics_[*offset + i];
      }
    }
  }

  const TileTables& tables_;
  const std::unique_ptr<QtipSearch> fallback_;
  const hwy::AlignedFreeUniquePtr<float[]> samples_;
  const hwy::AlignedFreeUniquePtr<uint16_t[]> metrics_;
  const hwy::AlignedFreeUniquePtr<uint16_t[]> bases_;
  const HugeArray<uint16_t> costs_;
  const HugeArray<uint16_t> pointers_;
  QtipForwardPass pass_;
  Classes classes_{};  // by tile
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
  constexpr uint64_t kHugePages = uint64_t{4} << 20;  // what rounding up to them takes
  const uint64_t arrays = sizeof(uint16_t) * (CostCount(bits) + PointerCount(bits));
  const uint64_t rest = uint64_t{64} << 10;  // metrics, samples, bases
  return arrays + rest + kHugePages + QtipStateSearchBytes({.bits = bits});
}

}  // namespace qtipd
