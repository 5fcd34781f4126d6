// The fused kernel for 5 to 16 vectors whose activations stay in registers.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WIDE_RESIDENT_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WIDE_RESIDENT_CUH_

#include "kernels/formats/qtip/qtip_cuda_fused_wide.cuh"

namespace qtipd {

// sums[t] += half a unit times activation vectors 8 t .. 8 t + 7.
template <int kBits, int kVectorTiles, int kReplicas>
__device__ __forceinline__ void MultiplyHalf(const HalfWords<kBits>& half,
                                             const Activations (&b)[kVectorTiles],
                                             float (&sums)[kVectorTiles][4],
                                             const DecodeContext<kReplicas>& context) {
  uint32_t words[kBits + 1];
  WindowsOfHalf(half, words);
#pragma unroll
  for (int i = 0; i < kUnitSteps / 2; ++i) {
    uint32_t pairs[4];
    DecodeStep<kBits>(words, i, context, pairs);
#pragma unroll
    for (int t = 0; t < kVectorTiles; ++t) {
      ptx::MmaM16N8K16(sums[t], pairs, b[t].word[i], b[t].word[4 + i]);
    }
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

// FusedResident for more vectors: 2048 or 4096 columns, and 8192 for up to 8 vectors.
template <int kBits, int kUnits, int kColumns, typename Arguments>
__global__ void __launch_bounds__(kDecodeThreads, 1) FusedWideResident(const Arguments args) {
  typename ProbeOf<Arguments>::Type probe(args);
  extern __shared__ __align__(128) uint32_t shared[];
  constexpr int kVectorTiles = kColumns / 8;
  constexpr int kRowBytes = kFusedWarps * kUnits * UnitBytes(kBits);
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const RowRange rows = RowsOfBlock(args);
  // The warp's units of the row block that is loaded next.
  const char* ahead =
      args.packed + static_cast<int64_t>(rows.first) * kRowBytes + warp * kUnits * UnitBytes(kBits);
  HalfWords<kBits> next[kUnits][2] = {};
  const auto load = [&](int u, int half, bool exists) {
    LoadHalfIf(next[u][half], ahead + u * UnitBytes(kBits), half, lane, exists);
  };

  ptx::LaunchDependents();
  const uint32_t entry = LoadTableEntry(args.table);
#pragma unroll
  for (int u = 0; u < kUnits; ++u) {
    load(u, 0, true);
    load(u, 1, true);
  }
  FillTable<kMostReplicas>(shared, entry);
  const auto context = MakeDecodeContext<kMostReplicas>(shared);
  ptx::WaitForPreviousGrids();
  const uint16_t* of_lane[kVectorTiles];
  WideActivationsOfLane(args, lane, of_lane);
  Activations b[kUnits][2][kVectorTiles];
#pragma unroll
  for (int u = 0; u < kUnits; ++u) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int t = 0; t < kVectorTiles; ++t) {
        b[u][half][t] =
            LoadActivations(of_lane[t] + (warp * kUnits + u) * kUnitCols + half * (kUnitCols / 2));
      }
    }
  }
  float* partials = reinterpret_cast<float*>(shared) + FoldedBytes(kMostReplicas) / 4;
  __syncthreads();
  probe.TableIsReady();

  for (int chunk = 0; chunk < rows.count; chunk += args.chunk_rows) {
    const int chunk_end = min(chunk + args.chunk_rows, rows.count);
    float* partial = partials + warp * kColumns * kUnitRows;
#pragma unroll 1
    for (int row = chunk; row < chunk_end; ++row) {
      ahead += kRowBytes;
      float sums[kVectorTiles][4] = {};
#pragma unroll
      for (int u = 0; u < kUnits; ++u) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          MultiplyHalf(next[u][half], b[u][half], sums, context);
          load(u, half, row + 1 < rows.count);
          __syncwarp();  // keeps the load here
        }
      }
      StoreWidePartial<kBits>(partial, sums, lane, false);
      partial += kFusedWarps * kColumns * kUnitRows;
    }
    __syncthreads();
    probe.LoopIsDone();
    ReducePartials<kColumns>(args, partials, rows.first + chunk, chunk_end - chunk, kFusedWarps);
    if (chunk_end < rows.count) __syncthreads();
    probe.ReductionIsDone();
  }
  probe.Finish();
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WIDE_RESIDENT_CUH_
