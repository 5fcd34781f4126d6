// The fused kernel for up to four vectors and every shape.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_LOOPING_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_LOOPING_CUH_

#include "kernels/formats/qtip/qtip_cuda_fused_segments.cuh"
#include "kernels/formats/qtip/qtip_cuda_linear.cuh"

namespace qtipd {

// For every shape: kRows row blocks at a time, all warps along the columns. Warp w takes units w, w
// + 16, ... of a row block: some warps one step more than others, or none. Row blocks that do not
// exist are not loaded; what is decoded in their place is not stored.
template <int kBits, int kRows, int kColumns, int kReplicas, typename Arguments>
__device__ __forceinline__ void MultiplyLooping(const Arguments& args) {
  typename ProbeOf<Arguments>::Type probe(args);
  extern __shared__ __align__(128) uint32_t shared[];
  constexpr SumRows kSumRows = RowsAt(kBits);
  constexpr int kStepBytes = kFusedWarps * UnitBytes(kBits);
  constexpr uint32_t kPartialBytes = kFusedWarps * kColumns * kUnitRows * sizeof(float);
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int units = static_cast<int>(UnitsPerRow(args.in_features));
  const int steps = (units - warp + kFusedWarps - 1) / kFusedWarps;
  const RowRange rows = RowsOfBlock(args);
  const int row_bytes = units * UnitBytes(kBits);
  // The warp's units that are loaded next, and how far those of the next row blocks are at the end.
  const char* ahead =
      args.packed + static_cast<int64_t>(rows.first) * row_bytes + warp * UnitBytes(kBits);
  const int64_t to_next_rows = static_cast<int64_t>(kRows) * row_bytes - steps * kStepBytes;

  ptx::LaunchDependents();
  const uint32_t entry = LoadTableEntry(args.table);
  UnitWords<kBits> next[kRows] = {};
  const auto load = [&](int r, int first_row) {
    LoadUnitIf(next[r], ahead + static_cast<int64_t>(r) * row_bytes, lane,
               first_row + r < rows.count);
  };
  if (steps > 0) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) load(r, 0);
    ahead += kStepBytes;
  }
  FillTable<kReplicas>(shared, entry);
  const auto context = MakeDecodeContext<kReplicas>(shared);
  ptx::WaitForPreviousGrids();
  const uint16_t* of_lane = ActivationsOfLane<kColumns>(args, lane);
  Activations b = ActivationsOfUnit(args, of_lane, warp, lane);
  float* partials = reinterpret_cast<float*>(shared) + FoldedBytes(kReplicas) / 4;
  __syncthreads();
  probe.TableIsReady();

  for (int chunk = 0; chunk < rows.count; chunk += args.chunk_rows) {
    const int chunk_end = min(chunk + args.chunk_rows, rows.count);
    uint32_t partial = ptx::SharedAddress(partials + warp * kColumns * kUnitRows) +
                       PartialOffset<kColumns, kSumRows>(lane);
#pragma unroll 1
    for (int row = chunk; row < chunk_end; row += kRows) {
      int step = 0;
      do {  // once for a warp without steps too: its sums are zero
        float sums[kRows][2][4] = {};
        const int chain_end = min(step + kChainSteps, steps);
        const bool adds = step > 0;
#pragma unroll 1
        for (; step < chain_end; ++step) {
          const bool is_last = step + 1 == steps;
          if (is_last) ahead += to_next_rows;
          const int next_unit = is_last ? warp : (step + 1) * kFusedWarps + warp;
          Activations next_b;
#pragma unroll
          for (int r = 0; r < kRows; ++r) {
            MultiplyUnit(next[r], b, sums[r], context);
            load(r, is_last ? row + kRows : row);
            __syncwarp();  // keeps the load here
            if (r == 0) next_b = ActivationsOfUnit(args, of_lane, next_unit, lane);
          }
          ahead += kStepBytes;
          b = next_b;
        }
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          StorePartial<kColumns, kSumRows>(partial + r * kPartialBytes, sums[r], lane, adds,
                                           row + r < chunk_end);
        }
      } while (step < steps);
      partial += kRows * kPartialBytes;
    }
    __syncthreads();
    probe.LoopIsDone();
    ReducePartials<kColumns>(args, partials, rows.first + chunk, chunk_end - chunk, kFusedWarps);
    if (chunk_end < rows.count) __syncthreads();
    probe.ReductionIsDone();
  }
  probe.Finish();
}

template <int kBits, int kRows, int kColumns, int kReplicas, typename Arguments>
__global__ void __launch_bounds__(kDecodeThreads, 1) FusedLooping(const Arguments args) {
  MultiplyLooping<kBits, kRows, kColumns, kReplicas>(args);
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_LOOPING_CUH_
