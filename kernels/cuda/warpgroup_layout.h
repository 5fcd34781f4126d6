// How the blocks of kernels whose warps multiply four at a time (ptx/warpgroup_mma.h) share rows
// and shared memory. Row blocks are of 16 rows.
#ifndef QTIPD_KERNELS_CUDA_WARPGROUP_LAYOUT_H_
#define QTIPD_KERNELS_CUDA_WARPGROUP_LAYOUT_H_

#include <cstddef>
#include <cstdint>

#include "kernels/api/host_device.h"
#include "kernels/cuda/arrange_matrices.h"

namespace qtipd {

inline constexpr int kWarpgroups = 4;  // of a block
inline constexpr int kWarpgroupWarps = 4;
inline constexpr int kWarpgroupMostSlots = 4;  // row blocks of a warp
inline constexpr int kWarpgroupThreads = kWarpgroups * kWarpgroupWarps * 32;

// Row blocks of a warp, so that a block goes through its `rows` as few times as possible, and then
// with as few slots as possible.
constexpr int WarpgroupSlotsFor(int64_t rows) {
  const int64_t slots = (rows + kWarpgroupWarps - 1) / kWarpgroupWarps;
  const int64_t rounds = (slots + kWarpgroupMostSlots - 1) / kWarpgroupMostSlots;
  return static_cast<int>((slots + rounds - 1) / rounds);
}

// Shared memory beside tables: of each group a ring of `ring_slots` records of `record_bytes` with
// two barriers each, and sums of `vectors` for the row blocks of `slots` slots.
QTIPD_HOST_DEVICE constexpr int WarpgroupRingBytes(int record_bytes, int ring_slots) {
  return kWarpgroups * ring_slots * record_bytes;
}
QTIPD_HOST_DEVICE constexpr int WarpgroupSumsBytes(int vectors, int slots) {
  return kWarpgroupWarps * slots * vectors * 16 * 4;
}
QTIPD_HOST_DEVICE constexpr int WarpgroupBarrierBytes(int ring_slots) {
  return kWarpgroups * ring_slots * 2 * 8;
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_WARPGROUP_LAYOUT_H_
