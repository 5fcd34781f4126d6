// Up to four activation vectors: each row slot of the matrix instruction carries one of two column
// segments, see qtip_cuda_fused.cuh.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_SEGMENTS_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_SEGMENTS_CUH_

#include "kernels/formats/qtip/qtip_cuda_fused_common.cuh"

namespace qtipd {

// The lane's activations of unit 0: its own tile, and of a batch vector (lane >> 2) & 3, or the
// last one where there are fewer: what comes of those is not stored.
template <int kColumns>
__device__ __forceinline__ const uint16_t* ActivationsOfLane(const FusedArguments& args, int lane) {
  const int column = kColumns == 1 ? 0 : min((lane >> 2) & (kColumns - 1), args.columns - 1);
  const int tile = 4 * (lane >> 4) + (lane & 3);
  return static_cast<const uint16_t*>(args.u) + static_cast<int64_t>(column) * args.in_features +
         tile * kQtipTileCols;
}

// Those of unit `unit`; zeros where the matrix ends before the lane's tile.
__device__ __forceinline__ Activations ActivationsOfUnit(const FusedArguments& args,
                                                         const uint16_t* of_lane, int unit,
                                                         int lane) {
  const int tile = unit * kUnitTiles + 4 * (lane >> 4) + (lane & 3);
  const bool exists = tile * kQtipTileCols < args.in_features;
  return LoadActivations(exists ? of_lane + unit * kUnitCols : NoActivations());
}

// sums[0] gathers rows 2 g, sums[1] rows 2 g + 1 of the lane's row group.
template <int kBits, int kReplicas>
__device__ __forceinline__ void MultiplyUnit(const UnitWords<kBits>& unit, const Activations& b,
                                             float (&sums)[2][4],
                                             const DecodeContext<kReplicas>& context) {
  DecodeUnit(unit, context, [&](int i, const uint32_t(&pairs)[4]) {
    ptx::MmaM16N8K16(sums[i >> 2], pairs, b.word[i & 3], b.word[4 + (i & 3)]);
  });
}

// Which rows of a unit a lane group's sums are: sums[c][0..1] of row lane * g + sum * c,
// sums[c][2..3] of that + second.
struct SumRows {
  int lane;
  int sum;
  int second;
};
inline constexpr SumRows kKernelLayoutRows = {.lane = 2, .sum = 1, .second = 8};
inline constexpr SumRows kPlainLayoutRows = {.lane = 4, .sum = 2, .second = 1};
__host__ __device__ constexpr SumRows RowsAt(int bits) {
  return bits == 1 ? kPlainLayoutRows : kKernelLayoutRows;
}

// Where a lane's sums go in partial[column][16 rows] of its warp and row block, in bytes.
template <int kColumns, SumRows kRows>
__device__ __forceinline__ uint32_t PartialOffset(int lane) {
  const int column = kColumns == 1 ? 0 : 2 * (lane & 1);
  const int row = kRows.lane * (lane >> 2 & 3) + (kColumns == 1 ? kRows.second * (lane & 1) : 0);
  return (column * kUnitRows + row) * sizeof(float);
}

// Writes a warp's sums of one row block to shared memory, or adds them there. All lanes. `address`
// is the partial's plus PartialOffset. The columns of segment 1 lie 16 lanes and two column pairs
// further than those of segment 0.
template <int kColumns, SumRows kRows>
__device__ __forceinline__ void StorePartial(uint32_t address, const float (&sums)[2][4], int lane,
                                             bool adds = false, bool exists = true) {
  const bool writes = exists && lane < 16 && (lane & 3) < 2;
  const auto put = [&](int row, float v) {
    const uint32_t to = address + row * static_cast<uint32_t>(sizeof(float));
    v += __shfl_xor_sync(0xFFFFFFFFu, v, 18);
    if (adds && writes) v += ptx::LoadShared(to);
    ptx::StoreSharedIf(to, v, writes);
  };
#pragma unroll
  for (int c = 0; c < 2; ++c) {
    const int row = kRows.sum * c;
    if constexpr (kColumns == 1) {
      // All four columns of the segment are equal: two lanes write half of the rows each.
      put(row, lane % 2 != 0 ? sums[c][2] : sums[c][0]);
    } else {
      put(row, sums[c][0]);
      put(row + kUnitRows, sums[c][1]);
      put(row + kRows.second, sums[c][2]);
      put(row + kUnitRows + kRows.second, sums[c][3]);
    }
  }
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_SEGMENTS_CUH_
