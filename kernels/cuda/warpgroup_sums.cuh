// Adding up what the warpgroups of a block have, in an order that is the same on every run.
// Compute capability 9.0.
#ifndef QTIPD_KERNELS_CUDA_WARPGROUP_SUMS_CUH_
#define QTIPD_KERNELS_CUDA_WARPGROUP_SUMS_CUH_

#include "kernels/cuda/warpgroup_layout.h"

namespace qtipd {

// Sums of 16 rows and 8 kTiles columns in shared memory, in an order in which the accumulators of
// mma.m16n8k16, rows g and g + 8 of columns 2 q and 2 q + 1, go to all banks.
template <int kTiles>
struct TileSums {
  static constexpr int kRows = 16;
  static constexpr int kValues = 8 * kTiles * kRows;

  static __device__ __forceinline__ int At(int column, int row) {
    return (column ^ (column >> 2 & 1)) * kRows + (row ^ (column >> 1 & 1) * 8);
  }
  // Writes a lane's accumulators of tile `t`, of rows `first` and `second`, or adds them to what is
  // there.
  static __device__ __forceinline__ void Put(float* sums, int t, const float (&values)[4],
                                             int first, int second, bool adds) {
    const int q = static_cast<int>(threadIdx.x) % 4;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float& to = sums[At(8 * t + 2 * q + i % 2, i < 2 ? first : second)];
      to = adds ? to + values[i] : values[i];
    }
  }
};

// What a warp adds to the sums of its row blocks.
struct WarpgroupPlace {
  int group;  // of the warp
  int place;  // its row blocks are place, place + kWarpgroupWarps, ...
  int count;  // so many
  int first;  // rows of the lane's accumulators
  int second;
};

// Writes values(r)[t], the accumulators of tile t of the warp's r-th row block, to sums [row
// block][TileSums], or adds them where `adds`. In kWarpgroups turns, in each of which every group
// has other tiles, so that all have something to do. All threads of the block; barriers at the end
// of every turn.
template <int kSlots, int kTiles, typename Values>
__device__ __forceinline__ void AddWarpgroupSums(float* sums, const WarpgroupPlace& warp, bool adds,
                                                 const Values& values) {
  using Sums = TileSums<kTiles>;
#pragma unroll 1
  for (int turn = 0; turn < kWarpgroups; ++turn) {
#pragma unroll
    for (int r = 0; r < kSlots; ++r) {
      float* to = sums + (kWarpgroupWarps * r + warp.place) * Sums::kValues;
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
        const bool is_mine = ((r * kTiles + t + turn + warp.group) & (kWarpgroups - 1)) == 0;
        if (is_mine && r < warp.count) {
          Sums::Put(to, t, values(r)[t], warp.first, warp.second, adds || turn > 0);
        }
      }
    }
    __syncthreads();
  }
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_WARPGROUP_SUMS_CUH_
