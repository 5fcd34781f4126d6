// The fused kernel for 5 to 32 activation vectors, half a unit at a time (qtip_cuda_half_unit.cuh).
//
// Activations do not fit in registers: a step's are loaded once for kRows row blocks, one step
// ahead, in the order of qtip_cuda_arrange.h: loads from shared memory and loads from L1 go through
// the same pipe. Warps that share a row block take its columns, the others take row blocks, so that
// a block of any size goes through the activations few times.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WIDE_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WIDE_CUH_

#include "kernels/formats/qtip/qtip_cuda_arrange.h"
#include "kernels/formats/qtip/qtip_cuda_half_unit.cuh"

namespace qtipd {

// What one step of a unit takes of the arranged activations (qtip_cuda_arrange.h): B fragments.
template <int kVectorTiles>
struct StepActivations {
  uint32_t word[kVectorTiles][2];
};

// `step`: the lane's bytes of it.
template <int kVectorTiles>
__device__ __forceinline__ StepActivations<kVectorTiles> LoadStepActivations(const char* step) {
  StepActivations<kVectorTiles> b;
#pragma unroll
  for (int t = 0; t < kVectorTiles; t += 2) {
    const uint4 two = ptx::LoadCached128(step + t / 2 * 32 * sizeof(uint4));
    b.word[t][0] = two.x;
    b.word[t][1] = two.y;
    b.word[t + 1][0] = two.z;
    b.word[t + 1][1] = two.w;
  }
  return b;
}

// A warp's activations, step after step. Those of 16 and 32 vectors are arranged.
template <int kColumns>
class ActivationStream {
 public:
  static constexpr int kVectorTiles = kColumns / 8;
  // `has_units`: whether the warp has any; else it reads those of unit 0.
  __device__ ActivationStream(const FusedArguments& args, int lane, int warp_column, bool has_units)
      : first_(static_cast<const char*>(args.u) +
               (has_units ? warp_column : 0) * kUnitSteps * kStepBytes + lane * 16),
        unit_bytes_(kUnitSteps * kStepBytes << args.warps_per_row_log2) {}
  // Before the warp's first unit of its row blocks.
  __device__ void Begin() {
    at_ = first_;
    next_ = LoadStepActivations<kVectorTiles>(at_);
  }
  // Those of step `i` of `half`, and loads the ones after.
  __device__ StepActivations<kVectorTiles> Take(int half, int i, bool is_last_unit) {
    const StepActivations<kVectorTiles> now = next_;
    const int following = half * kUnitSteps / 2 + i + 1;
    if (following == kUnitSteps) {
      at_ = is_last_unit ? first_ : at_ + unit_bytes_;
      next_ = LoadStepActivations<kVectorTiles>(at_);
    } else {
      next_ = LoadStepActivations<kVectorTiles>(at_ + following * kStepBytes);
    }
    return now;
  }

 private:
  static constexpr int kStepBytes = ArrangedStepBytes(kColumns);
  const char* const first_;
  const int unit_bytes_;
  const char* at_ = nullptr;
  StepActivations<kVectorTiles> next_;
};

// Those of 8 vectors are few enough to be read as they are, half a unit at once: bringing them into
// order takes a kernel of its own.
template <>
class ActivationStream<8> {
 public:
  static constexpr int kVectorTiles = 1;
  // Lane 4 g + q has tile q of the half, of vector g, or of the last one where there are fewer:
  // what comes of those is not stored.
  __device__ ActivationStream(const FusedArguments& args, int lane, int warp_column, bool)
      : first_(warp_column * kUnitCols),
        unit_columns_(kUnitCols << args.warps_per_row_log2),
        in_features_(args.in_features - (lane & 3) * kQtipTileCols),
        of_lane_(static_cast<const uint16_t*>(args.u) +
                 static_cast<int64_t>(min(lane >> 2, args.columns - 1)) * args.in_features +
                 (lane & 3) * kQtipTileCols) {}
  __device__ void Begin() {
    at_ = first_;
    next_[0] = Load(0);
    next_[1] = Load(1);
  }
  __device__ StepActivations<1> Take(int half, int i, bool is_last_unit) {
    if (i == 0) {
      now_ = next_[half];
      if (half == 0) at_ = is_last_unit ? first_ : at_ + unit_columns_;
      next_[half] = Load(half);
    }
    return {{{now_.word[i], now_.word[kUnitSteps / 2 + i]}}};
  }

 private:
  __device__ Activations Load(int half) const {
    const int column = at_ + half * (kUnitCols / 2);
    return LoadActivations(column < in_features_ ? of_lane_ + column : NoActivations());
  }
  const int first_;
  const int unit_columns_;
  const int in_features_;  // less where the lane's tile begins
  const uint16_t* const of_lane_;
  int at_ = 0;  // column of the unit that is loaded next
  Activations now_;
  Activations next_[2];
};

// A warp's row blocks of a chunk.
struct WarpRows {
  int first;  // from the chunk's first
  int count;
};

// `rows` row blocks are shared out evenly among the groups of warps, so that every scheduler, which
// has warps of all groups, gets as much: at 28672 rows on 132 multiprocessors 13 or 14 of them are
// 4, 4, 3 and 3 for four groups, where 4, 4, 4 and 2 would take as long as 16.
__device__ __forceinline__ WarpRows RowsOfWarp(int rows, int warp, int warps_per_row_log2) {
  const int group = warp >> warps_per_row_log2;
  const int groups_log2 = kFusedWarpsLog2 - warps_per_row_log2;
  const int least = rows >> groups_log2;
  const int surplus = rows & ((1 << groups_log2) - 1);
  return {group * least + min(group, surplus), least + (group < surplus ? 1 : 0)};
}

// A warp's words, loaded half a unit ahead, of up to kRows row blocks.
template <int kBits, int kRows>
struct WideWords {
  HalfWords<kBits> next[kRows];
  const char* at;  // unit of the first row block that is loaded next
  int row_bytes;

  __device__ __forceinline__ void Load(int half, int lane, int rows) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      LoadHalfIf(next[r], at + static_cast<int64_t>(r) * row_bytes, half, lane, r < rows);
    }
  }
};

// A warp's share of the products of its rows.count row blocks, at most kRows: partial sums to
// `partials` [row block][kColumns][16] with `parts` floats between row blocks. One unit in `steps`
// of `step_bytes`. Row blocks beyond rows.count are not loaded, and what is decoded in their place
// is not read: a branch around it costs more.
template <int kBits, int kRows, int kColumns, int kMostRows, int kReplicas>
__device__ __forceinline__ void MultiplyWide(WideWords<kBits, kMostRows>& ahead,
                                             ActivationStream<kColumns>& activations, int steps,
                                             int step_bytes, const WarpRows& rows,
                                             const DecodeContext<kReplicas>& context,
                                             float* partials, int parts) {
  constexpr int kVectorTiles = kColumns / 8;
  const int lane = threadIdx.x % 32;
  activations.Begin();
  int step = 0;
  do {  // once for a warp without units too: its sums are zero
    float sums[kRows][kVectorTiles][4] = {};
    const int chain_end = min(step + kChainSteps, steps);
    const bool adds = step > 0;
#pragma unroll 1
    for (; step < chain_end; ++step) {
      const bool is_last = step + 1 == steps;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        uint32_t words[kRows][kBits + 1];
#pragma unroll
        for (int r = 0; r < kRows; ++r) WindowsOfHalf(ahead.next[r], words[r]);
        if (half == 1) ahead.at += step_bytes;
        ahead.Load(1 - half, lane, half == 1 && is_last ? 0 : rows.count);
        __syncwarp();  // keeps the loads here
#pragma unroll
        for (int i = 0; i < kUnitSteps / 2; ++i) {
          const StepActivations<kVectorTiles> b = activations.Take(half, i, is_last);
#pragma unroll
          for (int r = 0; r < kRows; ++r) {
            uint32_t pairs[4];
            DecodeStep<kBits>(words[r], i, context, pairs);
#pragma unroll
            for (int t = 0; t < kVectorTiles; ++t) {
              ptx::MmaM16N8K16(sums[r][t], pairs, b.word[t][0], b.word[t][1]);
            }
          }
        }
      }
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (r < rows.count) StoreWidePartial<kBits>(partials + r * parts, sums[r], lane, adds);
    }
  } while (step < steps);
}

// Up to kRows row blocks at a time for each of the block's row groups; kColumns is 8, 16 or 32.
template <int kBits, int kRows, int kColumns, int kReplicas, typename Arguments>
__global__ void __launch_bounds__(kDecodeThreads, 1) FusedWide(const Arguments args) {
  typename ProbeOf<Arguments>::Type probe(args);
  extern __shared__ __align__(128) uint32_t shared[];
  constexpr int kFewer = kRows > 1 ? kRows - 1 : 1;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int warps_per_row = 1 << args.warps_per_row_log2;
  const int warp_column = warp & (warps_per_row - 1);
  const int units = static_cast<int>(UnitsPerRow(args.in_features));
  // Some warps have one unit more than others, or none.
  const int steps = (units - warp_column + warps_per_row - 1) >> args.warps_per_row_log2;
  const int step_bytes = UnitBytes(kBits) << args.warps_per_row_log2;
  const RowRange block = RowsOfBlock(args);
  WideWords<kBits, kRows> ahead = {
      .next = {}, .at = nullptr, .row_bytes = units * UnitBytes(kBits)};
  const auto begin = [&](int chunk) {
    const WarpRows rows =
        RowsOfWarp(min(args.chunk_rows, block.count - chunk), warp, args.warps_per_row_log2);
    ahead.at = args.packed +
               static_cast<int64_t>(block.first + chunk + rows.first) * ahead.row_bytes +
               warp_column * UnitBytes(kBits);
    ahead.Load(0, lane, steps > 0 ? rows.count : 0);
    return rows;
  };

  ptx::LaunchDependents();
  const uint32_t entry = LoadTableEntry(args.table);
  WarpRows rows = begin(0);
  FillTable<kReplicas>(shared, entry);
  const auto context = MakeDecodeContext<kReplicas>(shared);
  ptx::WaitForPreviousGrids();
  ActivationStream<kColumns> activations(args, lane, warp_column, steps > 0);
  float* partials = reinterpret_cast<float*>(shared) + FoldedBytes(kReplicas) / 4;
  constexpr int kPartial = kColumns * kUnitRows;
  __syncthreads();
  probe.TableIsReady();

  for (int chunk = 0; chunk < block.count; chunk += args.chunk_rows) {
    if (chunk > 0) rows = begin(chunk);
    const int parts = kPartial << args.warps_per_row_log2;
    float* to = partials + rows.first * parts + warp_column * kPartial;
    if (rows.count == kRows) {
      MultiplyWide<kBits, kRows>(ahead, activations, steps, step_bytes, rows, context, to, parts);
    } else {
      MultiplyWide<kBits, kFewer>(ahead, activations, steps, step_bytes, rows, context, to, parts);
    }
    __syncthreads();
    probe.LoopIsDone();
    ReducePartials<kColumns>(args, partials, block.first + chunk,
                             min(args.chunk_rows, block.count - chunk), warps_per_row);
    if (chunk + args.chunk_rows < block.count) __syncthreads();
    probe.ReductionIsDone();
  }
  probe.Finish();
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WIDE_CUH_
