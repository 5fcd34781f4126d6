// The inner loops of the search of code `hyb` whose SIMD lanes are tiles, for 16-bit and 32-bit
// path costs, compiled for several instruction sets; qtip_tile_search.cc is their only user. All
// lanes do the same work on different samples, so the search needs neither gathers nor shuffles.
//
// Between two steps only the low 16 - step_bits bits of the state matter for what follows: a
// *class*. A pass keeps one cost per class and boundary, boundary t being the one before step t:
//   cost[t+1][p] = min_j  metric[t][state] + cost[t][state >> step_bits],  state = (j <<
//   class_bits) | p
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_TILE_SEARCH_SIMD_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_TILE_SEARCH_SIMD_H_

#include <cstddef>
#include <cstdint>

#include "kernels/formats/qtip/qtip_layout.h"

namespace qtipd {

// Distinct branch metrics per step: 512 table rows times the sign of the first weight.
inline constexpr int kQtipMetricRows = 2 * kQtipLutEntries;

// Classes whose running minima stay in registers together; each also serves its mirror image.
inline constexpr int kQtipClassBlock = 8;

// One forward pass over all steps of `lanes` tiles. Cost is uint16_t (saturating, in units of
// 1 / scale) or float. All arrays are aligned to 64 bytes and owned by the caller.
template <typename Cost>
struct QtipForwardPass {
  int step_bits = 0;               // 4, 6, 8
  float scale = 1;                 // metric = squared error * scale
  const float* lut = nullptr;      // [512][2]
  const float* samples = nullptr;  // [128 steps][2][lanes]
  // First element of the metric row of every state below 32768 in the order of the loops:
  // [class block][j][class in block]. A state and its complement share their row.
  const uint16_t* offsets = nullptr;
  Cost* metrics = nullptr;  // scratch [1024][lanes]
  // Costs [slots][classes][lanes]; QtipHistorySlot says where a boundary is. Boundary 0 is an
  // input.
  Cost* history = nullptr;
  int first_kept = 0;          // boundaries before this one may be overwritten
  Cost* bases = nullptr;       // out [128][lanes]: what was subtracted from all costs in each step
  int unnormalised_steps = 0;  // so many first steps subtract nothing
};

// Tiles that one pass takes, by cost type: vector lanes of the best instruction set of this
// machine.
template <typename Cost>
int QtipViterbiLanes();

// Runs the pass: fills history boundaries 1..128 and bases.
template <typename Cost>
void QtipRunForwardPass(const QtipForwardPass<Cost>& pass);

// Fills pass.metrics for one step, as the pass does.
template <typename Cost>
void QtipBranchMetrics(const QtipForwardPass<Cost>& pass, int step);

// Name of the instruction set that runs, for example "AVX3".
const char* QtipViterbiTarget();

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_TILE_SEARCH_SIMD_H_
