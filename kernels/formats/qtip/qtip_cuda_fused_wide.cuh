// The fused kernel for 5 to 16 activation vectors: every column of the matrix instruction is one of
// them, so each of its row slots is one row of one tile, half a unit at a time.
//
// Lane (g, q) of a warp takes row pair g of tile 4 s + q, s the half: words of unit lane (s, g >>
// 1, q), the first or second half of them by g's low bit. Activations come from L1 for every half.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WIDE_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WIDE_CUH_

#include "kernels/formats/qtip/qtip_cuda_fused_common.cuh"

namespace qtipd {

// Halves that one accumulator runs through; see kChainSteps.
inline constexpr int kChainHalves = 8;

// A lane's 16 steps of half a unit.
template <int kBits>
struct HalfWords {
  uint32_t word[kBits];
};

template <int kBits>
__device__ __forceinline__ HalfWords<kBits> LoadHalf(const char* unit, int half, int lane) {
  const int owner = half * 16 + (lane >> 3) * 4 + (lane & 3);
  const int first = ((lane >> 2) & 1) * kBits;
  HalfWords<kBits> words;
  if constexpr (kBits == 2) {
    const uint2 a = ptx::LoadStreaming64(unit + UnitWordOffset(2, owner, 0) + first * 4);
    words = {{a.x, a.y}};
  } else if constexpr (kBits == 4) {
    const uint4 a = ptx::LoadStreaming128(unit + UnitWordOffset(4, owner, first));
    words = {{a.x, a.y, a.z, a.w}};
  } else {
#pragma unroll
    for (int i = 0; i < kBits; ++i) {
      words.word[i] =
          __ldg(reinterpret_cast<const uint32_t*>(unit + UnitWordOffset(kBits, owner, first + i)));
    }
  }
  return words;
}

// sums[t] += half a unit times activation vectors 8 t .. 8 t + 7.
template <int kBits, int kVectorTiles, int kReplicas>
__device__ __forceinline__ void MultiplyHalf(const HalfWords<kBits>& half,
                                             const Activations (&b)[kVectorTiles],
                                             float (&sums)[kVectorTiles][4],
                                             const DecodeContext<kReplicas>& context) {
  uint32_t words[kBits + 1];
#pragma unroll
  for (int i = 0; i < kBits; ++i) words[i] = half.word[i];
  words[kBits] = __shfl_sync(0xFFFFFFFFu, half.word[0], (threadIdx.x + 4) % 32);
#pragma unroll
  for (int i = 0; i < kUnitPairs / 8; ++i) {
    uint32_t pairs[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      pairs[j] = LookUpPair(StateAt(words, PairOffset<kBits>(i, j)), context);
    }
#pragma unroll
    for (int t = 0; t < kVectorTiles; ++t) {
      ptx::MmaM16N8K16(sums[t], pairs, b[t].word[i], b[t].word[4 + i]);
    }
  }
}

// Writes a warp's sums of one row block to partial[column][16 rows], or adds them there. A lane has
// rows g and g + 8, in the plain layout (1 bit) rows 2 g and 2 g + 1.
template <int kBits, int kVectorTiles>
__device__ __forceinline__ void StoreWidePartial(float* partial,
                                                 const float (&sums)[kVectorTiles][4], int lane,
                                                 bool adds) {
  constexpr int kLaneRows = kBits == 1 ? 2 : 1;
  constexpr int kSecond = kBits == 1 ? 1 : 8;
  const auto put = [adds](float& to, float value) { to = adds ? to + value : value; };
#pragma unroll
  for (int t = 0; t < kVectorTiles; ++t) {
    float* column = partial + (8 * t + 2 * (lane & 3)) * kUnitRows + (lane >> 2) * kLaneRows;
    put(column[0], sums[t][0]);
    put(column[kUnitRows], sums[t][1]);
    put(column[kSecond], sums[t][2]);
    put(column[kUnitRows + kSecond], sums[t][3]);
  }
}

// kRows row blocks at a time; kColumns is 8 or 16.
template <int kBits, int kRows, int kColumns, int kReplicas, typename Arguments>
__global__ void __launch_bounds__(kDecodeThreads, 1) FusedWide(const Arguments args) {
  typename ProbeOf<Arguments>::Type probe(args);
  extern __shared__ __align__(128) uint32_t shared[];
  constexpr int kVectorTiles = kColumns / 8;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int warp_column = warp & ((1 << args.warps_per_row_log2) - 1);
  const int warp_row = (warp >> args.warps_per_row_log2) * kRows;
  const int units = (args.in_features + kUnitCols - 1) / kUnitCols;
  const int warps_per_row = 1 << args.warps_per_row_log2;
  // Two for each unit of this warp; some warps have one unit more than others, or none.
  const int halves = ((units - warp_column + warps_per_row - 1) >> args.warps_per_row_log2) * 2;
  const RowRange rows = RowsOfBlock(args);
  // Half h of this warp: h & 1 of its unit h >> 1.
  const auto unit_of = [&](int h) { return ((h >> 1) << args.warps_per_row_log2) + warp_column; };
  const auto load = [&](HalfWords<kBits>(&into)[kRows], int first_row, int h) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int row = min(first_row + r, rows.count - 1);  // surplus rows are decoded, not stored
      const int64_t unit = static_cast<int64_t>(rows.first + row) * units + unit_of(h);
      into[r] = LoadHalf<kBits>(args.packed + unit * UnitBytes(kBits), h & 1, lane);
    }
  };
  const auto activations = [&](Activations(&b)[kVectorTiles], int h) {
    const int tile = unit_of(h) * kUnitTiles + 4 * (h & 1) + (lane & 3);
#pragma unroll
    for (int t = 0; t < kVectorTiles; ++t) {
      const int column = 8 * t + (lane >> 2);
      const bool exists = column < args.columns && tile * kQtipTileCols < args.in_features;
      b[t] = LoadActivations(exists ? static_cast<const uint16_t*>(args.u) +
                                          static_cast<int64_t>(column) * args.in_features +
                                          tile * kQtipTileCols
                                    : NoActivations());
    }
  };

  ptx::LaunchDependents();
  const uint32_t entry = LoadTableEntry(args.table);
  HalfWords<kBits> ring[2][kRows];
  if (halves > 0) {
    load(ring[0], warp_row, 0);
    load(ring[1], warp_row, 1);
  }
  FillTable<kReplicas>(shared, entry);
  const auto context = MakeDecodeContext<kReplicas>(shared);
  ptx::WaitForPreviousGrids();
  Activations b[2][kVectorTiles];
  activations(b[0], 0);
  float* partials = reinterpret_cast<float*>(shared) + FoldedBytes(kReplicas) / 4;
  __syncthreads();
  probe.TableIsReady();

  for (int chunk = 0; chunk < rows.count; chunk += args.chunk_rows) {
    const int row = chunk + warp_row;
    int chain = 0;
    do {  // once for a warp without units too: its sums are zero
      float sums[kRows][kVectorTiles][4] = {};
#pragma unroll 1
      for (int h = chain; h < min(chain + kChainHalves, halves); h += 2) {
#pragma unroll
        for (int parity = 0; parity < 2; ++parity) {
          const int next = h + parity + 1;
          activations(b[1 - parity], next < halves ? next : 0);
#pragma unroll
          for (int r = 0; r < kRows; ++r) {
            MultiplyHalf(ring[parity][r], b[parity], sums[r], context);
          }
          const int ahead = h + parity + 2;
          if (ahead < halves) {
            load(ring[parity], row, ahead);
          } else if (chunk + args.chunk_rows < rows.count) {
            load(ring[parity], row + args.chunk_rows, ahead - halves);
          }
        }
      }
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const int part = ((warp_row + r) << args.warps_per_row_log2) + warp_column;
        StoreWidePartial<kBits>(partials + part * kColumns * kUnitRows, sums[r], lane, chain > 0);
      }
      chain += kChainHalves;
    } while (chain < halves);
    __syncthreads();
    probe.LoopIsDone();
    ReducePartials<kColumns>(args, partials, rows.first + chunk,
                             min(args.chunk_rows, rows.count - chunk),
                             1 << args.warps_per_row_log2);
    if (chunk + args.chunk_rows < rows.count) __syncthreads();
    probe.ReductionIsDone();
  }
  probe.Finish();
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WIDE_CUH_
