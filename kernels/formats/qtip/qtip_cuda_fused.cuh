// Fused decode and multiply on the tensor cores: a warp decodes a unit of 16 x 128 weights straight
// into A fragments of mma.m16n8k16 and multiplies them with activations held in B fragments.
//
// Row slot g of the matrix instruction carries column segment g >> 2 (qtip_cuda_layout.h), column c
// of B carries segment c >> 2 of activation vector c & 3; the blocks of D where both segments agree
// are sums that count, the others are ignored. One block a multiprocessor, 16 warps; blocks own
// whole row blocks, warps share a row block by columns and add up in shared memory: no atomics, one
// order of summation.
//
// Versions (H200, rotating copies; docs/performance/fused.md has the measurements):
//   512-entry table with the sign by XOR         slower: one more instruction a pair
//   fp16-accumulating mma                        0 to 3 % faster, error 3e-4 instead of 1e-6
//   two hashes in one 64-bit multiply            7 to 10 % slower
//   this                                         ships
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_CUH_

#include "kernels/formats/qtip/qtip_cuda_fused_wide.cuh"

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

// For 2048, 4096 and 8192 columns: every warp keeps the activations of its kUnits units in
// registers while it walks down the row blocks, and loads kRing of them ahead. Partial sums of all
// row blocks fit in shared memory.
template <int kBits, int kUnits, int kColumns, typename Arguments>
__global__ void __launch_bounds__(kDecodeThreads, 1) FusedResident(const Arguments args) {
  typename ProbeOf<Arguments>::Type probe(args);
  extern __shared__ __align__(128) uint32_t shared[];
  constexpr int kRing = kUnits == 1 ? 2 : 1;
  constexpr int kPartialValues = kFusedWarps * kColumns * kUnitRows;
  constexpr int kRowBytes = kFusedWarps * kUnits * UnitBytes(kBits);
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
  // Nothing so far depends on the grids before this one: it overlaps with the input rotation.
  FillTable<kMostReplicas>(shared, entry);
  const auto context = MakeDecodeContext<kMostReplicas>(shared);
  ptx::WaitForPreviousGrids();
  Activations b[kUnits];
  const uint16_t* activations = ActivationsOfLane<kColumns>(args, lane) + warp * kUnits * kUnitCols;
#pragma unroll
  for (int u = 0; u < kUnits; ++u) b[u] = LoadActivations(activations + u * kUnitCols);
  float* partials = reinterpret_cast<float*>(shared) + FoldedBytes(kMostReplicas) / 4;
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

// For every shape: kRows row blocks at a time, all warps along the columns. Warp w takes units w, w
// + 16, ... of a row block: some warps one step more than others, or none. Row blocks that do not
// exist are not loaded; what is decoded in their place is not stored.
template <int kBits, int kRows, int kColumns, int kReplicas, typename Arguments>
__global__ void __launch_bounds__(kDecodeThreads, 1) FusedLooping(const Arguments args) {
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

template <int kBits, int kColumns, typename Arguments>
auto ChooseFusedKernel(const FusedConfig& config) {
  constexpr int kMost = kMostReplicas;
  constexpr int kFew = kFewReplicas;
  if constexpr (kColumns > 4) {
    if (config.table_replicas == kFew) return FusedWide<kBits, 1, kColumns, kFew, Arguments>;
    if (config.units_per_warp == 1) return FusedWideResident<kBits, 1, kColumns, Arguments>;
    if (config.units_per_warp == 2) return FusedWideResident<kBits, 2, kColumns, Arguments>;
    if constexpr (kColumns == 8) {
      if (config.units_per_warp == 4) return FusedWideResident<kBits, 4, kColumns, Arguments>;
    }
    if (config.rows_in_flight == 1) return FusedWide<kBits, 1, kColumns, kMost, Arguments>;
    if constexpr (kBits <= 2 || kColumns == 8) {
      if (config.rows_in_flight == 4) return FusedWide<kBits, 4, kColumns, kMost, Arguments>;
    }
    return FusedWide<kBits, 2, kColumns, kMost, Arguments>;
  } else {
    if (config.table_replicas == kFew) return FusedLooping<kBits, 2, kColumns, kFew, Arguments>;
    if (config.units_per_warp == 1) return FusedResident<kBits, 1, kColumns, Arguments>;
    if (config.units_per_warp == 2) return FusedResident<kBits, 2, kColumns, Arguments>;
    if (config.units_per_warp == 4) return FusedResident<kBits, 4, kColumns, Arguments>;
    if (config.rows_in_flight == 1) return FusedLooping<kBits, 1, kColumns, kMost, Arguments>;
    if (config.rows_in_flight == 2) return FusedLooping<kBits, 2, kColumns, kMost, Arguments>;
    if (config.rows_in_flight == 3) return FusedLooping<kBits, 3, kColumns, kMost, Arguments>;
    return FusedLooping<kBits, 4, kColumns, kMost, Arguments>;
  }
}

template <int kBits, typename Arguments>
absl::Status LaunchFusedBits(const CudaDevice& device, const FusedConfig& config,
                             const Arguments& arguments) {
  const LaunchOptions options = {.grid = static_cast<unsigned>(config.grid),
                                 .block = kDecodeThreads,
                                 .shared_bytes = config.shared_bytes,
                                 .overlaps_previous = true,
                                 .waits_for_previous = config.waits_for_previous};
  switch (config.columns) {
    case 1:
      return LaunchKernel(device, options, ChooseFusedKernel<kBits, 1, Arguments>(config),
                          arguments);
    case 4:
      return LaunchKernel(device, options, ChooseFusedKernel<kBits, 4, Arguments>(config),
                          arguments);
    case 8:
      return LaunchKernel(device, options, ChooseFusedKernel<kBits, 8, Arguments>(config),
                          arguments);
    default:
      return LaunchKernel(device, options, ChooseFusedKernel<kBits, 16, Arguments>(config),
                          arguments);
  }
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_CUH_
