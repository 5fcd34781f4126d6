// The fused kernel for up to four vectors whose activations stay in registers.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_RESIDENT_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_RESIDENT_CUH_

#include "kernels/formats/qtip/qtip_cuda_fused_segments.cuh"
#include "kernels/formats/qtip/qtip_cuda_linear.cuh"

namespace qtipd {

// For 2048, 4096 and 8192 columns: every warp keeps the activations of its kUnits units in
// registers while it walks down the row blocks, and loads kRing of them ahead. Partial sums of all
// row blocks fit in shared memory.
template <int kBits, int kUnits, int kColumns, typename Arguments>
__device__ __forceinline__ void MultiplyResident(const Arguments& args) {
  typename ProbeOf<Arguments>::Type probe(args);
  extern __shared__ __align__(128) uint32_t shared[];
  constexpr int kRing = kUnits == 1 ? 2 : 1;
  constexpr int kPartialValues = kFusedWarps * kColumns * kUnitRows;
  constexpr int kRowBytes = kFusedWarps * kUnits * UnitBytes(kBits);
  constexpr int kSize = kFusedWarps * kUnits * kUnitCols;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const RowRange rows = RowsOfBlock(args);
  // The warp's units of the row block that is loaded next.
  const char* ahead =
      args.packed + static_cast<int64_t>(rows.first) * kRowBytes + warp * kUnits * UnitBytes(kBits);

  ptx::LaunchDependents();
  const uint32_t entry = LoadTableEntry(args.table);
  UnitWords<kBits> ring[kRing][kUnits] = {};
#pragma unroll
  for (int r = 0; r < kRing; ++r) {
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      LoadUnitIf(ring[r][u], ahead + u * UnitBytes(kBits), lane, r < rows.count);
    }
    ahead += kRowBytes;
  }
  BlockRotation<kSize> rotation;
  if constexpr (kIsLinear<Arguments>) rotation.LoadSigns(args.su);
  // Nothing so far depends on the grids before this one: it overlaps with the input rotation.
  FillTable<kMostReplicas>(shared, entry);
  const auto context = MakeDecodeContext<kMostReplicas>(shared);
  ptx::WaitForPreviousGrids();
  float* partials = reinterpret_cast<float*>(shared) + FoldedBytes(kMostReplicas) / 4;
  Activations b[kUnits];
  const uint16_t* activations;
  if constexpr (kIsLinear<Arguments>) {
    float* part = partials + args.chunk_rows * kPartialValues;
    auto* rotated = reinterpret_cast<__half*>(part + PaddedCount(kSize));
    rotation.Rotate(args.x, args.is_bf16, args.factor, part, rotated);
    activations =
        reinterpret_cast<const uint16_t*>(rotated) + (4 * (lane >> 4) + (lane & 3)) * kQtipTileCols;
  } else {
    activations = ActivationsOfLane<kColumns>(args, lane);
  }
#pragma unroll
  for (int u = 0; u < kUnits; ++u) {
    b[u] = LoadActivations(activations + (warp * kUnits + u) * kUnitCols);
  }
  uint32_t partial = ptx::SharedAddress(partials + warp * kColumns * kUnitRows) +
                     PartialOffset<kColumns, RowsAt(kBits)>(lane);
  __syncthreads();
  probe.TableIsReady();

  for (int row = 0; row < rows.count; row += kRing) {
#pragma unroll
    for (int r = 0; r < kRing; ++r) {
      if (r == 0 || row + r < rows.count) {
        float sums[2][4] = {};
#pragma unroll
        for (int u = 0; u < kUnits; ++u) {
          MultiplyUnit(ring[r][u], b[u], sums, context);
          LoadUnitIf(ring[r][u], ahead + u * UnitBytes(kBits), lane, row + r + kRing < rows.count);
          __syncwarp();  // keeps the load here
        }
        StorePartial<kColumns, RowsAt(kBits)>(partial, sums, lane);
      }
      ahead += kRowBytes;
      partial += kPartialValues * sizeof(float);
    }
  }
  __syncthreads();
  probe.LoopIsDone();
  ReducePartials<kColumns>(args, partials, rows.first, rows.count, kFusedWarps);
  probe.ReductionIsDone();
  probe.Finish();
}

template <int kBits, int kUnits, int kColumns, typename Arguments>
__global__ void __launch_bounds__(kDecodeThreads, 1) FusedResident(const Arguments args) {
  MultiplyResident<kBits, kUnits, kColumns>(args);
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_RESIDENT_CUH_
