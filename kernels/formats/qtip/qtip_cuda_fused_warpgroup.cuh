// The fused kernel for 17 to 32 activation vectors where four warps multiply together (ptx/
// warpgroup_mma.h): a matrix instruction takes little more for 32 columns than for 8, and reads its
// activations from shared memory. What it takes is reading the weights' registers, 13 cycles during
// which a scheduler issues little else, as long as two of mma.m16n8k16.
//
// Half a unit at a time (qtip_cuda_half_unit.cuh). The four warpgroups of a block share the
// columns of all its row blocks, unit by unit; the four warps of a group share the row blocks: warp
// w of group p has row block 4 r + (w - p) mod 4 in slot r, so that where the last slot is not full
// every scheduler, which has one warp of each group, still gets as much.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WARPGROUP_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WARPGROUP_CUH_

#include "kernels/cuda/warpgroup_ring.cuh"
#include "kernels/cuda/warpgroup_sums.cuh"
#include "kernels/formats/qtip/qtip_cuda_arrange.h"
#include "kernels/formats/qtip/qtip_cuda_fused_launch.h"
#include "kernels/formats/qtip/qtip_cuda_fused_warpgroup.h"
#include "kernels/formats/qtip/qtip_cuda_half_unit.cuh"

namespace qtipd {

// How a warp of kSlots row blocks groups its matrix instructions. Those that add to the same
// accumulators wait for each other: four of a batch take turns.
template <int kSlots>
struct WarpgroupShape {
  static constexpr int kChains = kSlots == 2 ? 2 : 1;  // accumulators of a slot
  static constexpr int kBatchSlots = kSlots == 2 ? 1 : 2;
  static constexpr int kBatchSteps = 4 / kBatchSlots;
  static constexpr int kBatchesOfStep = (kSlots + kBatchSlots - 1) / kBatchSlots;
  static constexpr int kBatchesOfHalf = kUnitSteps / 2 / kBatchSteps * kBatchesOfStep;
  // Units of a warpgroup after which the chains' sums are put away: long chains lose low bits.
  static constexpr int kChainUnits = kChainSteps * kChains;
};

// Words of a warp's kSlots row blocks, loaded half a unit ahead.
template <int kBits, int kSlots>
class SlotWords {
 public:
  static constexpr int kStepBytes = UnitBytes(kBits) * kWarpgroups;

  // `slot_bytes`: from the row block of a slot to that of the next.
  __device__ __forceinline__ explicit SlotWords(int slot_bytes) : slot_bytes_(slot_bytes) {}

  // `unit`: the first one of slot 0; none where `has_units` is false. `count`: row blocks.
  __device__ __forceinline__ void Start(const char* unit, int count, bool has_units) {
    at_ = unit;
    count_ = count;
#pragma unroll
    for (int r = 0; r < kSlots; ++r) Load(0, r, at_, has_units);
  }
  // The words of `half` in slot `r`, in the order of their bits; loads those that come later.
  __device__ __forceinline__ void Take(int half, int r, bool is_last,
                                       uint32_t (&words)[kBits + 1]) {
    WindowsOfHalf(next_[r], words);
    Load(1 - half, r, half == 0 ? at_ : at_ + kStepBytes, half == 0 || !is_last);
  }
  __device__ __forceinline__ void Advance() { at_ += kStepBytes; }
  __device__ __forceinline__ bool Has(int r) const { return r < count_; }

 private:
  __device__ __forceinline__ void Load(int half, int r, const char* unit, bool condition) {
    LoadHalfIf(next_[r], unit + static_cast<int64_t>(r) * slot_bytes_, half, threadIdx.x % 32,
               condition && Has(r));
  }

  const int slot_bytes_;
  HalfWords<kBits> next_[kSlots] = {};
  const char* at_ = nullptr;
  int count_ = 0;
};

// The matrix instructions of a warp, batch after batch, and their sums.
template <int kBits, int kSlots>
class WarpgroupMultiplier {
 public:
  using Shape = WarpgroupShape<kSlots>;

  __device__ __forceinline__ explicit WarpgroupMultiplier(
      const DecodeContext<kMostReplicas>& context)
      : context_(context) {}

  // Half a unit: `words` of every slot, activations `b`. `has_last`: whether the last slot holds a
  // row block. Calls previous_is_read() once nothing reads the activations of the half before.
  template <typename Callback>
  __device__ __forceinline__ void MultiplyHalf(const uint32_t (&words)[kSlots][kBits + 1],
                                               uint64_t b, bool has_last,
                                               const Callback& previous_is_read) {
#pragma unroll
    for (int batch = 0; batch < Shape::kBatchesOfHalf; ++batch) {
      const int first_step = batch / Shape::kBatchesOfStep * Shape::kBatchSteps;
      const int first_slot = batch % Shape::kBatchesOfStep * Shape::kBatchSlots;
      ptx::WarpgroupWait<0>();  // the fragments are free; other warps decode meanwhile
      if (batch == 0) previous_is_read();
      Decode(words, first_step, first_slot, has_last);
      Multiply(first_step, first_slot, b);
    }
  }

  // Between two batches, all instructions done: adds up the chains of every slot, whose sums sum()
  // then gives; Clear() begins new ones.
  __device__ __forceinline__ void FoldChains() {
#pragma unroll
    for (int r = 0; r < kSlots; ++r) {
#pragma unroll
      for (int i = 0; i < Shape::kChains * kWarpgroupTiles; ++i) {
        ptx::WarpgroupDone(chains_[r][i / kWarpgroupTiles][i % kWarpgroupTiles]);
      }
#pragma unroll
      for (int i = 0; i < 4 * kWarpgroupTiles; ++i) {
#pragma unroll
        for (int chain = 1; chain < Shape::kChains; ++chain) {
          chains_[r][0][i / 4][i % 4] += chains_[r][chain][i / 4][i % 4];
        }
      }
    }
  }
  __device__ __forceinline__ const float (&sum(int r) const)[kWarpgroupTiles][4] {
    return chains_[r][0];
  }
  __device__ __forceinline__ void Clear() {
#pragma unroll
    for (int r = 0; r < kSlots; ++r) {
#pragma unroll
      for (int chain = 0; chain < Shape::kChains; ++chain) {
#pragma unroll
        for (int i = 0; i < 4 * kWarpgroupTiles; ++i) chains_[r][chain][i / 4][i % 4] = 0;
      }
    }
  }

 private:
  __device__ __forceinline__ void Decode(const uint32_t (&words)[kSlots][kBits + 1], int first_step,
                                         int first_slot, bool has_last) {
#pragma unroll
    for (int r = first_slot; r < first_slot + Shape::kBatchSlots && r < kSlots; ++r) {
      if (r + 1 < kSlots || has_last) {
#pragma unroll
        for (int i = 0; i < Shape::kBatchSteps; ++i) {
          DecodeStep<kBits>(words[r], first_step + i, context_, fragments_[i][r - first_slot]);
        }
      }
    }
  }
  __device__ __forceinline__ void Multiply(int first_step, int first_slot, uint64_t b) {
    constexpr int kStepUnits = MatrixStepBytes(kWarpgroupColumns) / 16;  // of a descriptor
    ptx::WarpgroupFence();
#pragma unroll
    for (int i = 0; i < Shape::kBatchSteps; ++i) {
#pragma unroll
      for (int r = first_slot; r < first_slot + Shape::kBatchSlots && r < kSlots; ++r) {
        ptx::WarpgroupMma(chains_[r][i % Shape::kChains], fragments_[i][r - first_slot],
                          b + (first_step + i) * kStepUnits);
      }
    }
    ptx::WarpgroupCommit();
  }

  const DecodeContext<kMostReplicas> context_;
  float chains_[kSlots][Shape::kChains][kWarpgroupTiles][4] = {};
  uint32_t fragments_[Shape::kBatchSteps][Shape::kBatchSlots][4] = {};
};

// z of `rows` row blocks from their sums. All threads.
__device__ __forceinline__ void WriteWarpgroupSums(const FusedArguments& args, const float* sums,
                                                   int first_row, int rows) {
  using Sums = TileSums<kWarpgroupTiles>;
#pragma unroll 1
  for (int i = threadIdx.x; i < rows * Sums::kValues; i += kDecodeThreads) {
    const int row = i / Sums::kValues;
    const int column = i % Sums::kValues / kUnitRows;
    if (column < args.columns) {
      args.z[static_cast<int64_t>(column) * args.out_features + (first_row + row) * kUnitRows +
             i % kUnitRows] = sums[row * Sums::kValues + Sums::At(column, i % kUnitRows)];
    }
  }
}

template <int kBits, int kSlots, typename Arguments>
__global__ void __launch_bounds__(kDecodeThreads, 1) FusedWarpgroup(const Arguments args) {
  using Shape = WarpgroupShape<kSlots>;
  using Sums = TileSums<kWarpgroupTiles>;
  using Ring = WarpgroupRing<kWarpgroupHalfBytes, kWarpgroupRingSlots, 2>;
  typename ProbeOf<Arguments>::Type probe(args);
  extern __shared__ __align__(128) uint32_t shared[];
  const int warp = ptx::UniformWarp();
  const int group = warp / 4;
  const int place = (warp - group) & 3;
  const int units = static_cast<int>(UnitsPerRow(args.in_features));
  const int steps = (units - group + kWarpgroups - 1) / kWarpgroups;
  const int rounds =
      ((units + kWarpgroups - 1) / kWarpgroups + Shape::kChainUnits - 1) / Shape::kChainUnits;
  const int row_bytes = units * UnitBytes(kBits);
  const RowRange block = RowsOfBlock(args);
  SlotWords<kBits, kSlots> ahead(4 * row_bytes);
  const auto begin = [&](int chunk) {
    const int rows = min(args.chunk_rows, block.count - chunk);
    ahead.Start(args.packed + static_cast<int64_t>(block.first + chunk + place) * row_bytes +
                    group * UnitBytes(kBits),
                (rows - place + 3) >> 2, steps > 0);
    return rows;
  };

  ptx::LaunchDependents();
  const uint32_t entry = LoadTableEntry(args.table);
  int rows = begin(0);
  FillTable<kMostReplicas>(shared, entry);
  const auto context = MakeDecodeContext<kMostReplicas>(shared);
  constexpr int kRingBegin = FoldedBytes(kMostReplicas);
  constexpr int kSumsBegin = kRingBegin + kWarpgroups * Ring::kBytes;
  constexpr int kBarriersBegin = kSumsBegin + WarpgroupSumsBytes(kWarpgroupColumns, kSlots);
  static_assert(kBarriersBegin + kWarpgroups * Ring::kBarrierBytes == WarpgroupSharedBytes(kSlots));
  const uint32_t base = ptx::SharedAddress(shared);
  Ring ring(base + kRingBegin + group * Ring::kBytes,
            base + kBarriersBegin + group * Ring::kBarrierBytes, warp % 4 == 0);
  float* sums = reinterpret_cast<float*>(shared) + kSumsBegin / 4;
  const int row = threadIdx.x % 32 / 4 * kHalfUnitLaneRows<kBits>;
  ptx::WaitForPreviousGrids();
  __syncthreads();
  probe.TableIsReady();

  for (int chunk = 0; chunk < block.count; chunk += args.chunk_rows) {
    if (chunk > 0) rows = begin(chunk);
    ring.Start(static_cast<const char*>(args.u) + group * 2 * kWarpgroupHalfBytes,
               kWarpgroups * 2 * kWarpgroupHalfBytes, 2 * steps);
    WarpgroupMultiplier<kBits, kSlots> multiplier(context);
    int step = 0;
    for (int round = 0; round < rounds; ++round) {
      const int end = min((round + 1) * Shape::kChainUnits, steps);
#pragma unroll 1
      for (; step < end; ++step) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          uint32_t words[kSlots][kBits + 1];
#pragma unroll
          for (int r = 0; r < kSlots; ++r) ahead.Take(half, r, step + 1 == steps, words[r]);
          __syncwarp();  // keeps the loads here
          const uint64_t b = ptx::WarpgroupOperandB(ring.Wait());
          const bool is_first = half == 0 && step == 0;
          multiplier.MultiplyHalf(words, b, ahead.Has(kSlots - 1), [&] {
            if (!is_first) ring.ReleasePrevious();
          });
          if (!is_first) ring.RefillPrevious();
          ring.Advance();
        }
        ahead.Advance();
      }
      ptx::WarpgroupWait<0>();
      if (round + 1 == rounds && steps > 0) ring.ReleasePrevious();
      multiplier.FoldChains();
      const WarpgroupPlace warp_place = {group, place, (rows - place + 3) >> 2, row,
                                         row + kHalfUnitSecondRow<kBits>};
      using Values = float[kWarpgroupTiles][4];
      AddWarpgroupSums<kSlots, kWarpgroupTiles>(
          sums, warp_place, round > 0, [&](int r) -> const Values& { return multiplier.sum(r); });
      multiplier.Clear();
    }
    probe.LoopIsDone();
    WriteWarpgroupSums(args, sums, block.first + chunk, rows);
    if (chunk + args.chunk_rows < block.count) __syncthreads();
    probe.ReductionIsDone();
  }
  probe.Finish();
}

template <int kBits, typename Arguments>
auto ChooseWarpgroupKernel(const FusedConfig& config) {
  switch (config.rows_in_flight) {
    case 2:
      return FusedWarpgroup<kBits, 2, Arguments>;
    case 3:
      return FusedWarpgroup<kBits, 3, Arguments>;
    default:
      return FusedWarpgroup<kBits, 4, Arguments>;
  }
}

template <int kBits, typename Arguments>
absl::Status LaunchWarpgroupBits(const CudaDevice& device, const FusedConfig& config,
                                 const Arguments& arguments) {
  const LaunchOptions options = FusedLaunchOptions(config, kDecodeThreads);
  return LaunchKernel(device, options, ChooseWarpgroupKernel<kBits, Arguments>(config), arguments);
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WARPGROUP_CUH_
