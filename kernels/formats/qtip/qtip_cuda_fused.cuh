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

// Steps that one accumulator runs through: the tensor cores cut off low bits of a sum rather than
// rounding it, an error that grows with the length of the chain (2.5e-6 at 65536 columns in one).
inline constexpr int kChainSteps = 8;

// Address of the lane's activations: vector (lane >> 2) & 3 for a batch, its own tile of unit
// `unit`. Null where the batch or the matrix ends before.
template <int kColumns>
__device__ __forceinline__ const uint16_t* ActivationAddress(const FusedArguments& args, int unit,
                                                             int lane) {
  const int column = kColumns == 1 ? 0 : (lane >> 2) & (kColumns - 1);
  const int tile = unit * kUnitTiles + 4 * (lane >> 4) + (lane & 3);
  if (column >= args.columns || tile * kQtipTileCols >= args.in_features) return nullptr;
  return static_cast<const uint16_t*>(args.u) + static_cast<int64_t>(column) * args.in_features +
         tile * kQtipTileCols;
}

// sums[0] gathers rows 2 g, sums[1] rows 2 g + 1 of the lane's row group.
template <int kBits>
__device__ __forceinline__ void MultiplyUnit(const UnitWords<kBits>& unit, const Activations& b,
                                             float (&sums)[2][4], const DecodeContext& context) {
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

// Writes a warp's sums of one row block to partial[segment][column][16 rows], or adds them there.
template <int kColumns, SumRows kRows = kKernelLayoutRows>
__device__ __forceinline__ void StorePartial(float* partial, const float (&sums)[2][4], int lane,
                                             bool adds = false) {
  const auto put = [adds](float& to, float value) { to = adds ? to + value : value; };
  const int group = lane >> 2;
  const int q = lane & 3;
  const int segment = group >> 2;
  if ((q >> 1) != segment) return;  // columns of the other segment
  partial += segment * kColumns * kUnitRows;
#pragma unroll
  for (int c = 0; c < 2; ++c) {
    const int row = kRows.lane * (group & 3) + kRows.sum * c;
    if constexpr (kColumns == 1) {
      // All four columns of the segment are equal: two lanes write half of the rows each.
      put(partial[row + kRows.second * (q & 1)], (q & 1) != 0 ? sums[c][2] : sums[c][0]);
    } else {
      float* column = partial + 2 * (q & 1) * kUnitRows;
      put(column[row], sums[c][0]);
      put(column[kUnitRows + row], sums[c][1]);
      put(column[row + kRows.second], sums[c][2]);
      put(column[kUnitRows + row + kRows.second], sums[c][3]);
    }
  }
}

// Activations stay in registers while the warp walks down the row blocks. in_features is 128 *
// warps that share a row * kUnits (or less than 128). chunk_rows is a multiple of the row blocks
// that the block's warps hold in flight, so that a warp's ring goes on through all chunks.
template <int kBits, int kUnits, int kColumns, typename Arguments>
__global__ void __launch_bounds__(kDecodeThreads, 1) FusedResident(const Arguments args) {
  typename ProbeOf<Arguments>::Type probe(args);
  extern __shared__ __align__(128) uint32_t shared[];
  constexpr int kRing = kUnitsInFlight / kUnits;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int warp_column = warp & ((1 << args.warps_per_row_log2) - 1);
  const int warp_row = warp >> args.warps_per_row_log2;
  const int row_step = kFusedWarps >> args.warps_per_row_log2;
  const int units = kUnits << args.warps_per_row_log2;
  const RowRange rows = RowsOfBlock(args);
  // The warp's units of the row block that is loaded next, and how far the one after it is.
  const char* ahead =
      args.packed + (static_cast<int64_t>(rows.first + warp_row) * units + warp_column * kUnits) *
                        UnitBytes(kBits);
  const int64_t stride = static_cast<int64_t>(row_step) * units * UnitBytes(kBits);

  ptx::LaunchDependents();
  const uint32_t entry = LoadTableEntry(args.table);
  UnitWords<kBits> ring[kRing][kUnits];
#pragma unroll
  for (int r = 0; r < kRing; ++r) {
    if (warp_row + r * row_step < rows.count) {
#pragma unroll
      for (int u = 0; u < kUnits; ++u) {
        ring[r][u] = LoadUnit<kBits>(ahead + u * UnitBytes(kBits), lane);
      }
    }
    ahead += stride;
  }
  // Nothing so far depends on the grids before this one: it overlaps with the input rotation.
  FillTable(shared, entry);
  const DecodeContext context = MakeDecodeContext(shared);
  ptx::WaitForPreviousGrids();
  Activations b[kUnits];
#pragma unroll
  for (int u = 0; u < kUnits; ++u) {
    b[u] = LoadActivations(ActivationAddress<kColumns>(args, warp_column * kUnits + u, lane));
  }
  float* partials = reinterpret_cast<float*>(shared) + kFoldedBytes / 4;
  __syncthreads();
  probe.TableIsReady();

  for (int chunk = 0; chunk < rows.count; chunk += args.chunk_rows) {
    const int chunk_end = min(chunk + args.chunk_rows, rows.count);
    float* partial =
        partials + ((warp_row << args.warps_per_row_log2) + warp_column) * 2 * kColumns * kUnitRows;
    for (int row = chunk + warp_row; row < chunk_end; row += kRing * row_step) {
#pragma unroll
      for (int r = 0; r < kRing; ++r) {
        if (row + r * row_step < chunk_end) {
          float sums[2][4] = {};
          const bool has_next = row + (r + kRing) * row_step < rows.count;
#pragma unroll
          for (int u = 0; u < kUnits; ++u) {
            MultiplyUnit(ring[r][u], b[u], sums, context);
            if (has_next) ring[r][u] = LoadUnit<kBits>(ahead + u * UnitBytes(kBits), lane);
          }
          StorePartial<kColumns>(partial, sums, lane);
        }
        ahead += stride;
        partial += kFusedWarps * 2 * kColumns * kUnitRows;
      }
    }
    __syncthreads();
    probe.LoopIsDone();
    ReducePartials<kColumns>(args, partials, rows.first + chunk, chunk_end - chunk,
                             2 << args.warps_per_row_log2);
    if (chunk_end < rows.count) __syncthreads();
    probe.ReductionIsDone();
  }
  probe.Finish();
}

// For more than 8192 columns, and for units that do not split evenly: kRows row blocks at a time,
// all warps along the columns. Warp w takes units w, w + 16, ... of a row block: some warps one
// step more than others, or none.
template <int kBits, int kRows, int kColumns, typename Arguments>
__global__ void __launch_bounds__(kDecodeThreads, 1) FusedLooping(const Arguments args) {
  typename ProbeOf<Arguments>::Type probe(args);
  extern __shared__ __align__(128) uint32_t shared[];
  constexpr int kRing = kUnitsInFlight / kRows;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int units = static_cast<int>(UnitsPerRow(args.in_features));
  const int steps = (units - warp + kFusedWarps - 1) / kFusedWarps;
  // The ring turns whole rounds: the next row blocks begin in slot 0.
  const int ring_steps = (steps + kRing - 1) / kRing * kRing;
  const RowRange rows = RowsOfBlock(args);
  const auto load = [&](UnitWords<kBits>(&into)[kRows], int first_row, int step) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int row = min(first_row + r, rows.count - 1);  // surplus rows are decoded, not stored
      const int64_t unit =
          static_cast<int64_t>(rows.first + row) * units + step * kFusedWarps + warp;
      into[r] = LoadUnit<kBits>(args.packed + unit * UnitBytes(kBits), lane);
    }
  };
  const auto activations = [&](int step) {
    return LoadActivations(ActivationAddress<kColumns>(args, step * kFusedWarps + warp, lane));
  };

  ptx::LaunchDependents();
  const uint32_t entry = LoadTableEntry(args.table);
  UnitWords<kBits> ring[kRing][kRows];
#pragma unroll
  for (int s = 0; s < kRing; ++s) {
    if (s < steps) load(ring[s], 0, s);
  }
  FillTable(shared, entry);
  const DecodeContext context = MakeDecodeContext(shared);
  ptx::WaitForPreviousGrids();
  Activations b = activations(0);
  float* partials = reinterpret_cast<float*>(shared) + kFoldedBytes / 4;
  __syncthreads();
  probe.TableIsReady();

  for (int row = 0; row < rows.count; row += kRows) {
    const int count = min(kRows, rows.count - row);
    int chain = 0;
    do {  // once for a warp without steps too: its sums are zero
      float sums[kRows][2][4] = {};
      const int chain_end = min(chain + kChainSteps, ring_steps);
#pragma unroll 1
      for (int step = chain; step < chain_end; step += kRing) {
#pragma unroll
        for (int s = 0; s < kRing; ++s) {
          if (kRing == 1 || step + s < steps) {
            const int next_step = step + s + 1;
            const Activations next = activations(next_step < steps ? next_step : 0);
#pragma unroll
            for (int r = 0; r < kRows; ++r) MultiplyUnit(ring[s][r], b, sums[r], context);
            b = next;
          }
          const int ahead = step + s + kRing;
          if (ahead < steps) {
            load(ring[s], row, ahead);
          } else if (ahead >= ring_steps && ahead - ring_steps < steps &&
                     row + kRows < rows.count) {
            load(ring[s], row + kRows, ahead - ring_steps);
          }
        }
      }
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        if (r >= count) continue;
        const int part = (r * kFusedWarps + warp) * 2;
        StorePartial<kColumns>(partials + part * kColumns * kUnitRows, sums[r], lane, chain > 0);
      }
      chain += kChainSteps;
    } while (chain < steps);
    __syncthreads();
    probe.LoopIsDone();
    ReducePartials<kColumns>(args, partials, rows.first + row, count, 2 * kFusedWarps);
    if (row + kRows < rows.count) __syncthreads();
    probe.ReductionIsDone();
  }
  probe.Finish();
}

template <int kBits, int kColumns, typename Arguments>
auto ChooseFusedKernel(const FusedConfig& config) {
  if constexpr (kColumns > 4) {
    return config.rows_in_flight == 1 ? FusedWide<kBits, 1, kColumns, Arguments>
                                      : FusedWide<kBits, 2, kColumns, Arguments>;
  } else {
    if (config.units_per_warp == 1) return FusedResident<kBits, 1, kColumns, Arguments>;
    if (config.units_per_warp == 2) return FusedResident<kBits, 2, kColumns, Arguments>;
    if (config.units_per_warp == 4) return FusedResident<kBits, 4, kColumns, Arguments>;
    if (config.rows_in_flight == 1) return FusedLooping<kBits, 1, kColumns, Arguments>;
    if (config.rows_in_flight == 2) return FusedLooping<kBits, 2, kColumns, Arguments>;
    if (config.rows_in_flight == 3) return FusedLooping<kBits, 3, kColumns, Arguments>;
    return FusedLooping<kBits, 4, kColumns, Arguments>;
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
