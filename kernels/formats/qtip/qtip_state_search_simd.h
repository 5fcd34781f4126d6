// The inner loops of the search whose SIMD lanes are states, for 16-bit and 32-bit path costs,
// compiled for several instruction sets; qtip_state_search.cc is their only user.
//
// Between two steps only the low L - step_bits bits of the state matter for what follows: a
// *class*. A pass keeps one cost per class and boundary, boundary t being the one before step t:
//   cost[t+1][p] = min_j  metric[t][state] + cost[t][state >> step_bits],
//   state = (j << class_bits) | p
// Lanes are classes p that follow from as many neighbouring classes q = p >> step_bits, so that
// costs are loaded as they lie; the new ones are interleaved when they are stored. Where a step has
// more successors than a vector has lanes, all lanes follow from one class instead.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_STATE_SEARCH_SIMD_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_STATE_SEARCH_SIMD_H_

#include <cstdint>
#include <vector>

#include "kernels/formats/qtip/qtip_code.h"

namespace qtipd {

// Types of one arithmetic: 16-bit fixed point with saturating sums, or fp32.
struct QtipNarrowCosts {
  using Cost = uint16_t;
  using Weight = int16_t;
};
struct QtipWideCosts {
  using Cost = float;
  using Weight = float;
};

// One forward pass over all steps of a tile. Arrays are aligned to 64 bytes and owned by the
// caller.
template <typename Costs>
struct QtipStatePass {
  QtipCodeSpec spec;
  const typename Costs::Weight* samples = nullptr;  // [steps][V]
  const typename Costs::Weight* weights = nullptr;  // in the order of QtipStateOrder, V a state
  // Costs [slots][classes]; QtipHistorySlot says where a boundary is. Boundary 0 is an input.
  typename Costs::Cost* history = nullptr;
  int first_kept = 0;                     // boundaries before this one may be overwritten
  typename Costs::Cost* bases = nullptr;  // out [steps]: what each step subtracted from all costs
  int unnormalised_steps = 0;             // so many first steps subtract nothing
};

// Narrow costs are products of 16-bit differences: (d^2 + 2^14) >> 15 of d = weight - sample,
// saturated, and doubled before that where a step has a small error. Differences that saturate give
// too small a metric, never too large a one.
constexpr bool QtipDoublesDifferences(int bits) { return bits >= 3; }

// The states in the order in which a pass reads their weights; its lanes' weights of one f lie
// together: element (i * V + f) * lanes + lane belongs to state order[i * lanes + lane]. Depends on
// the instruction set of this machine.
template <typename Costs>
struct QtipStateOrder {
  int lanes = 0;
  std::vector<uint16_t> states;
};
template <typename Costs>
QtipStateOrder<Costs> MakeQtipStateOrder(const QtipCodeSpec& spec);

// Runs the pass: fills history boundaries 1..steps and bases.
template <typename Costs>
void QtipRunStatePass(const QtipStatePass<Costs>& pass);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_STATE_SEARCH_SIMD_H_
