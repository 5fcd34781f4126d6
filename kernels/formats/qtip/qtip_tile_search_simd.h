// The inner loops of the search of code `hyb` whose SIMD lanes are tiles, compiled for several
// instruction sets; qtip_tile_search.cc is their only user. All lanes do the same work on different
// samples, so the search needs neither gathers nor shuffles.
//
// Between two steps only the low 16 - step_bits bits of the state matter for what follows: a
// *class*. A pass computes one cost per class and boundary, boundary t being the one before step t:
//   cost[t+1][p] = min_j  metric[t][state] + cost[t][state >> step_bits],
//   state = (j << class_bits) | p
// A state and its complement have the same metric. So class p and its mirror image, class
// classes - 1 - p, are computed together: a *row* holds the costs of both, and one load of metrics
// serves it.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_TILE_SEARCH_SIMD_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_TILE_SEARCH_SIMD_H_

#include <cstddef>
#include <cstdint>

#include "kernels/formats/qtip/qtip_layout.h"
#include "kernels/formats/qtip/qtip_search.h"

namespace qtipd {

// Tiles of one pass. With 16 the metrics of a step take 32 KiB and stay in the first-level cache.
inline constexpr int kQtipSearchTiles = 16;

// Costs of a row: those of class p < classes / 2 by tile, then those of its mirror image.
inline constexpr int kQtipRowCosts = 2 * kQtipSearchTiles;

// Distinct branch metrics per step: 512 table rows times the sign of the first weight.
inline constexpr int kQtipMetricRows = 2 * kQtipLutEntries;

// Where the metrics of table row `index` are: the 16 states that lead to one class differ in the
// sign and the three high bits of their index, and so find their metrics side by side.
constexpr int QtipMetricRow(int index, bool is_negated) {
  constexpr int kLow = 6;
  return ((index & ((1 << kLow) - 1)) << 4) | (is_negated ? 8 : 0) | index >> kLow;
}

// Rows between which `offsets` is ordered by branch.
inline constexpr int kQtipRowBlock = 16;

// Bits of j that a cost carries below its value, so that the least of several costs says where it
// comes from: all of j at 2 bits, where a history of costs would not fit into the caches.
// With more bits j would leave too few for the value; there all costs are kept.
constexpr int QtipPointerBits(int step_bits) { return step_bits == 4 ? 4 : 0; }

// Rows whose pointers share one row of 16-bit words.
inline constexpr int kQtipPointerRows = 4;

// One forward pass over all steps of 16 tiles, with costs as saturating multiples of 1 / scale. All
// arrays are aligned to 64 bytes and owned by the caller.
struct QtipForwardPass {
  int step_bits = 0;               // 4, 6, 8
  float scale = 1;                 // metric = squared error * scale, rounded, << pointer bits
  const float* lut = nullptr;      // [512][2]
  const float* samples = nullptr;  // [128 steps][2][16]
  // First element of the metrics of every state below 32768 in the order of the loops: [row
  // block][j][row in block]. A state and its complement share them.
  const uint16_t* offsets = nullptr;
  uint16_t* metrics = nullptr;   // scratch [1024][16]
  uint16_t* costs = nullptr;     // [slots][rows][2][16]; boundary 0 is an input
  uint16_t* pointers = nullptr;  // out [128][rows / 4][2][16]: j of row r at bit 4 * (r % 4)
  int first_kept = 0;  // costs of boundaries before this one, and pointers, may be overwritten
  uint16_t* bases = nullptr;   // out [128][16]: what was subtracted from all costs in each step
  int unnormalised_steps = 0;  // so many first steps subtract nothing

  int pointer_bits() const { return QtipPointerBits(step_bits); }
  int rows() const { return 1 << (kQtipStateBits - step_bits - 1); }
  uint16_t* Costs(int boundary) const {
    return costs + size_t(Slot(boundary)) * rows() * kQtipRowCosts;
  }
  uint16_t* Pointers(int step) const {
    return pointers + size_t(step) * (rows() / kQtipPointerRows) * kQtipRowCosts;
  }

 private:
  // With pointers only boundary `first_kept` is kept, else all from there on.
  int Slot(int boundary) const {
    if (pointer_bits() > 0 && boundary > first_kept) return boundary & 1;
    return QtipHistorySlot(boundary, first_kept);
  }
};

// Slots of `costs`.
constexpr int QtipCostSlots(int step_bits) {
  return QtipPointerBits(step_bits) > 0 ? 3 : kQtipSteps + 3;
}

// Runs the pass: fills the boundaries 1..128, bases and, where there are pointer bits, pointers.
void QtipRunForwardPass(const QtipForwardPass& pass);

// Fills pass.metrics for one step, as the pass does.
void QtipBranchMetrics(const QtipForwardPass& pass, int step);

// One branch metric a tile, as the pass computes it: weights [2][16] are those of the branches.
void QtipPathMetrics(const QtipForwardPass& pass, int step, const float* weights,
                     uint16_t* metrics);

// Name of the instruction set that runs, for example "AVX3".
const char* QtipViterbiTarget();

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_TILE_SEARCH_SIMD_H_
