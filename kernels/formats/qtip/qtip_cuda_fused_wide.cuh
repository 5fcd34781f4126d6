// The fused kernel for 5 to 16 activation vectors: every column of the matrix instruction is one of
// them, so each of its row slots is one row of one tile, half a unit at a time.
//
// Lane (g, q) of a warp takes row pair g of tile 4 s + q, s the half: words of unit lane (s, g >>
// 1, q), the first or second half of them by g's low bit. Activations do not fit in registers: they
// are loaded for every unit and kRows row blocks. Warps that share a row block take its columns,
// the others take row blocks, so that a block of any size goes through the activations few times.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WIDE_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WIDE_CUH_

#include "kernels/formats/qtip/qtip_cuda_fused_common.cuh"

namespace qtipd {

// A lane's 16 steps of half a unit.
template <int kBits>
struct HalfWords {
  uint32_t word[kBits];
};

// Where a lane's words of half 0 of a unit begin; those of half 1 lie 16 unit lanes further.
template <int kBits>
__device__ __forceinline__ void LoadHalfIf(HalfWords<kBits>& words, const char* unit, int half,
                                           int lane, bool condition) {
  const int owner = half * 16 + (lane >> 3) * 4 + (lane & 3);
  const bool is_second = (lane & 4) != 0;
  uint32_t(&w)[kBits] = words.word;
  if constexpr (kBits == 1) {
    ptx::LoadStreaming32If(w[0], unit + owner * 8 + (is_second ? 4 : 0), condition);
  } else if constexpr (kBits == 2) {
    uint2 a = make_uint2(w[0], w[1]);
    ptx::LoadStreaming64If(a, unit + owner * 16 + (is_second ? 8 : 0), condition);
    words = {{a.x, a.y}};
  } else if constexpr (kBits == 4) {
    uint4 a = make_uint4(w[0], w[1], w[2], w[3]);
    ptx::LoadStreaming128If(a, unit + owner * 16 + (is_second ? 512 : 0), condition);
    words = {{a.x, a.y, a.z, a.w}};
  } else {
    // Words 0, 1 and 2, or 3, 4 and 5: kept as two that lie side by side and one.
    uint2 two = make_uint2(w[0], w[1]);
    ptx::LoadStreaming64If(two, unit + (is_second ? 512 + owner * 8 : owner * 16), condition);
    ptx::LoadStreaming32If(w[2], unit + owner * 16 + (is_second ? 12 : 8), condition);
    w[0] = two.x;
    w[1] = two.y;
  }
}

// The words in the order of their bits.
template <int kBits>
__device__ __forceinline__ HalfWords<kBits> InOrder(const HalfWords<kBits>& words, int lane) {
  if constexpr (kBits != 3) {
    return words;
  } else {
    const uint32_t(&w)[3] = words.word;
    const bool is_second = (lane & 4) != 0;
    return {{is_second ? w[2] : w[0], is_second ? w[0] : w[1], is_second ? w[1] : w[2]}};
  }
}

// sums[t] += half a unit times activation vectors 8 t .. 8 t + 7.
template <int kBits, int kVectorTiles, int kReplicas>
__device__ __forceinline__ void MultiplyHalf(const HalfWords<kBits>& half,
                                             const Activations (&b)[kVectorTiles],
                                             float (&sums)[kVectorTiles][4],
                                             const DecodeContext<kReplicas>& context) {
  const HalfWords<kBits> ordered = InOrder(half, threadIdx.x % 32);
  uint32_t words[kBits + 1];
#pragma unroll
  for (int i = 0; i < kBits; ++i) words[i] = ordered.word[i];
  words[kBits] = __shfl_sync(0xFFFFFFFFu, ordered.word[0], (threadIdx.x + 4) % 32);
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

// Where a lane's activations lie: its tile of half 0 of unit 0, of vector 8 t + g, or of the last
// one where there are fewer: what comes of those is not stored.
template <int kVectorTiles>
__device__ __forceinline__ void WideActivationsOfLane(const FusedArguments& args, int lane,
                                                      const uint16_t* (&of_lane)[kVectorTiles]) {
#pragma unroll
  for (int t = 0; t < kVectorTiles; ++t) {
    const int column = min(8 * t + (lane >> 2), args.columns - 1);
    of_lane[t] = static_cast<const uint16_t*>(args.u) +
                 static_cast<int64_t>(column) * args.in_features + (lane & 3) * kQtipTileCols;
  }
}

// kRows row blocks at a time for each of the block's row groups; kColumns is 8 or 16. Row blocks
// that do not exist are not loaded; what is decoded in their place is not read: a branch around it
// costs more.
template <int kBits, int kRows, int kColumns, int kReplicas, typename Arguments>
__global__ void __launch_bounds__(kDecodeThreads, 1) FusedWide(const Arguments args) {
  typename ProbeOf<Arguments>::Type probe(args);
  extern __shared__ __align__(128) uint32_t shared[];
  constexpr int kVectorTiles = kColumns / 8;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int warps_per_row = 1 << args.warps_per_row_log2;
  const int warp_column = warp & (warps_per_row - 1);
  const int warp_row = (warp >> args.warps_per_row_log2) * kRows;
  const int units = static_cast<int>(UnitsPerRow(args.in_features));
  // Some warps have one step more than others, or none.
  const int steps = (units - warp_column + warps_per_row - 1) >> args.warps_per_row_log2;
  const RowRange rows = RowsOfBlock(args);
  const int row_bytes = units * UnitBytes(kBits);
  const int step_bytes = UnitBytes(kBits) << args.warps_per_row_log2;
  // The warp's units that are loaded next, and how far those of the next chunk are at the end.
  const char* ahead = args.packed + static_cast<int64_t>(rows.first + warp_row) * row_bytes +
                      warp_column * UnitBytes(kBits);
  const int64_t to_next_rows =
      static_cast<int64_t>(args.chunk_rows) * row_bytes - static_cast<int64_t>(steps) * step_bytes;
  HalfWords<kBits> next[2][kRows] = {};
  const auto load = [&](int half, int r, int first_row) {
    LoadHalfIf(next[half][r], ahead + static_cast<int64_t>(r) * row_bytes, half, lane,
               first_row + r < rows.count);
  };
  const uint16_t* of_lane[kVectorTiles];
  WideActivationsOfLane(args, lane, of_lane);
  const auto activations = [&](Activations(&b)[kVectorTiles], int step, int half) {
    const int unit = (step << args.warps_per_row_log2) + warp_column;
    const int offset = unit * kUnitCols + half * (kUnitCols / 2);
    const bool exists = offset + (lane & 3) * kQtipTileCols < args.in_features;
#pragma unroll
    for (int t = 0; t < kVectorTiles; ++t) {
      b[t] = LoadActivations(exists ? of_lane[t] + offset : NoActivations());
    }
  };

  ptx::LaunchDependents();
  const uint32_t entry = LoadTableEntry(args.table);
  if (steps > 0) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      load(0, r, warp_row);
      load(1, r, warp_row);
    }
    ahead += step_bytes;
  }
  FillTable<kReplicas>(shared, entry);
  const auto context = MakeDecodeContext<kReplicas>(shared);
  ptx::WaitForPreviousGrids();
  Activations b[2][kVectorTiles];
  activations(b[0], 0, 0);
  activations(b[1], 0, 1);
  float* partials = reinterpret_cast<float*>(shared) + FoldedBytes(kReplicas) / 4;
  __syncthreads();
  probe.TableIsReady();

  for (int chunk = 0; chunk < rows.count; chunk += args.chunk_rows) {
    const int row = chunk + warp_row;
    int step = 0;
    do {  // once for a warp without steps too: its sums are zero
      float sums[kRows][kVectorTiles][4] = {};
      const int chain_end = min(step + kChainSteps, steps);
      const bool adds = step > 0;
#pragma unroll 1
      for (; step < chain_end; ++step) {
        const bool is_last = step + 1 == steps;
        if (is_last) ahead += to_next_rows;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
#pragma unroll
          for (int r = 0; r < kRows; ++r) {
            MultiplyHalf(next[half][r], b[half], sums[r], context);
            load(half, r, is_last ? row + args.chunk_rows : row);
            __syncwarp();  // keeps the load here
          }
          activations(b[half], is_last ? 0 : step + 1, half);
        }
        ahead += step_bytes;
      }
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const int part = ((warp_row + r) << args.warps_per_row_log2) + warp_column;
        StoreWidePartial<kBits>(partials + part * kColumns * kUnitRows, sums[r], lane, adds);
      }
    } while (step < steps);
    __syncthreads();
    probe.LoopIsDone();
    ReducePartials<kColumns>(args, partials, rows.first + chunk,
                             min(args.chunk_rows, rows.count - chunk), warps_per_row);
    if (chunk + args.chunk_rows < rows.count) __syncthreads();
    probe.ReductionIsDone();
  }
  probe.Finish();
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WIDE_CUH_
