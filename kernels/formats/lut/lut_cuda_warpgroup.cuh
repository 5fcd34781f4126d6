// Fused decode and multiply of format "lut" for 9 to 16 activation vectors where four warps
// multiply together (ptx/warpgroup_mma.h): activations are read from shared memory by the matrix
// instructions, which run beside the look-ups.
//
// The four warpgroups of a thread block share the columns of all its row blocks, unit by unit; the
// four warps of a group share the row blocks: warp w of group p has row block 4 r + (w - p) mod 4
// in slot r, so that where the last slot is not full every scheduler, which has one warp of each
// group, still gets as much. A block of 64 columns is a chain of matrix instructions, whose
// sums are scaled in fp32.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WARPGROUP_CUH_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WARPGROUP_CUH_

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"
#include "kernels/cuda/warpgroup_ring.cuh"
#include "kernels/cuda/warpgroup_sums.cuh"
#include "kernels/formats/lut/lut_cuda_step.cuh"
#include "kernels/formats/lut/lut_cuda_walk.cuh"
#include "kernels/formats/lut/lut_cuda_warpgroup.h"

namespace qtipd {

inline constexpr int kLutWarpgroupThreads = kLutWarpgroups * 128;

// The units of a warp's kSlots row blocks, slot by slot, loaded kAhead of them ahead.
template <int kBits, int kSlots>
class LutSlots {
 public:
  static constexpr int kAhead = 2;
  using Step = LutStep<kBits, kLutUnitBlocks, 4>;

  __device__ __forceinline__ explicit LutSlots(const LutFusedArguments& args)
      : has_scales_(args.has_scales),
        scales_offset_(LutIndexBytes(kBits) + static_cast<int>(threadIdx.x) % 32 / 4 * 16),
        step_bytes_(kLutWarpgroups * LutRecordBytes(kBits, args.has_scales ? 4 : 0)),
        slot_bytes_(int64_t{4} * args.units_per_row *
                    LutRecordBytes(kBits, args.has_scales ? 4 : 0)) {
#pragma unroll
    for (Step& step : next_) {
#pragma unroll
      for (uint32_t& word : step.word) word = 0;
#pragma unroll
      for (uint32_t& scale : step.scale) {  // ones, without blocks
        scale = args.is_bfloat16 ? 0x3F803F80u : 0x3C003C00u;
      }
    }
  }

  // `record`: the first one of slot 0, of `steps` units. `count`: row blocks.
  __device__ __forceinline__ void Start(const char* record, int count, int steps) {
    at_ = record;
    count_ = count;
    left_ = steps;
#pragma unroll
    for (int n = 0; n < kAhead; ++n) Load(n, n / kSlots, n % kSlots);
  }
  __device__ __forceinline__ bool Has(int r) const { return r < count_; }
  // The unit of slot `r`, the `n`-th of all; constant when compiling modulo kAhead.
  __device__ __forceinline__ const Step& Take(int n) const { return next_[n % kAhead]; }
  // It is not needed any more: loads another one.
  __device__ __forceinline__ void LoadAfter(int n, int r) {
    Load(n, (r + kAhead) / kSlots, (r + kAhead) % kSlots);
  }
  // After all slots.
  __device__ __forceinline__ void Advance() {
    at_ += step_bytes_;
    --left_;
  }

 private:
  // The unit of slot `r` that is `units` after the one at hand.
  __device__ __forceinline__ void Load(int n, int units, int r) {
    Step& to = next_[n % kAhead];
    const bool exists = units < left_ && Has(r);
    const char* record = at_ + units * static_cast<int64_t>(step_bytes_) + r * slot_bytes_;
#pragma unroll
    for (int j = 0; j < Step::kVectors; ++j) {
      LutLoadVectorIf(to, j, record, static_cast<int>(threadIdx.x) % 32, exists);
    }
    LutLoadScalesIf(to, record + scales_offset_, exists && has_scales_);
  }

  const bool has_scales_;
  const int scales_offset_;
  const int step_bytes_;
  const int64_t slot_bytes_;
  Step next_[kAhead];
  const char* at_ = nullptr;
  int count_ = 0;
  int left_ = 0;
};

// The matrix instructions of a warp for one unit of one row block: those of two blocks of 64
// columns take turns.
template <int kBits>
class LutUnitMultiplier {
 public:
  using Table = LutTensorTable<kBits>;

  __device__ __forceinline__ explicit LutUnitMultiplier(const Table& table) : table_(table) {}

  // totals += scales times weights times activations `b`. Without `has` there is no unit, and the
  // warp only takes its part in the instructions of the others.
  template <typename Step>
  __device__ __forceinline__ void Multiply(const Step& step, bool has, uint64_t b, bool is_bfloat16,
                                           float (&totals)[kLutWarpgroupTiles][4]) {
#pragma unroll
    for (int block = 0; block < kLutUnitBlocks; block += kBlocks) {
#pragma unroll
      for (int t = 0; t < 4; t += kSteps) {
        if (has) Decode(step, block, t);
        Issue(block, t, b);
        ptx::WarpgroupWait<0>();  // the fragments are free; other warps decode meanwhile
      }
      Scale(step, block, is_bfloat16, totals);
    }
  }

 private:
  static constexpr int kBlocks = 2;
  static constexpr int kSteps = 2;  // of each

  template <typename Step>
  __device__ __forceinline__ void Decode(const Step& step, int block, int t) {
#pragma unroll
    for (int i = 0; i < kBlocks; ++i) {
#pragma unroll
      for (int j = 0; j < kSteps; j += Table::kStepsAtOnce) {
        uint32_t fragments[Table::kStepsAtOnce][4];
        table_.Fragments(step.word, block + i, t + j, fragments);
#pragma unroll
        for (int k = 0; k < 4 * Table::kStepsAtOnce; ++k) {
          fragments_[i][j + k / 4][k % 4] = fragments[k / 4][k % 4];
        }
      }
    }
  }
  __device__ __forceinline__ void Issue(int block, int t, uint64_t b) {
    constexpr int kStepUnits = MatrixStepBytes(kLutMaxColumns) / 16;  // of a descriptor
    ptx::WarpgroupFence();
#pragma unroll
    for (int j = 0; j < kSteps; ++j) {
#pragma unroll
      for (int i = 0; i < kBlocks; ++i) {
        const uint64_t b_step = b + (4 * (block + i) + t + j) * kStepUnits;
        if (t + j == 0) {
          ptx::WarpgroupMma<kLutWarpgroupTiles, false>(sums_[i], fragments_[i][j], b_step);
        } else {
          ptx::WarpgroupMma(sums_[i], fragments_[i][j], b_step);
        }
      }
    }
    ptx::WarpgroupCommit();
  }
  template <typename Step>
  __device__ __forceinline__ void Scale(const Step& step, int block, bool is_bfloat16,
                                        float (&totals)[kLutWarpgroupTiles][4]) {
#pragma unroll
    for (int i = 0; i < kBlocks; ++i) {
      const float2 scales = LutScales(step.scale[block + i], is_bfloat16);
#pragma unroll
      for (int k = 0; k < 4 * kLutWarpgroupTiles; ++k) {
        totals[k / 4][k % 4] += (k % 4 < 2 ? scales.x : scales.y) * sums_[i][k / 4][k % 4];
      }
    }
  }

  const Table& table_;
  uint32_t fragments_[kBlocks][kSteps][4] = {};
  float sums_[kBlocks][kLutWarpgroupTiles][4] = {};
};

// z of `rows` row blocks from their sums. All threads.
__device__ __forceinline__ void WriteLutSums(const LutFusedArguments& args, const float* sums,
                                             int first_row, int rows) {
  using Sums = TileSums<kLutWarpgroupTiles>;
#pragma unroll 1
  for (int i = threadIdx.x; i < rows * Sums::kValues; i += kLutWarpgroupThreads) {
    const int row_block = i / Sums::kValues;
    const int column = i % Sums::kValues / Sums::kRows;
    const int row = (first_row + row_block) * kLutUnitRows + i % Sums::kRows;
    if (column < args.columns && row < args.out_features) {
      StoreLutSum(args, static_cast<int64_t>(column) * args.out_features + row,
                  sums[row_block * Sums::kValues + Sums::At(column, i % Sums::kRows)]);
    }
  }
}

template <int kBits, int kSlots>
__global__ void __launch_bounds__(kLutWarpgroupThreads, 1)
    FusedLutWarpgroup(const __grid_constant__ LutFusedArguments args) {
  using Table = LutTensorTable<kBits>;
  using Slots = LutSlots<kBits, kSlots>;
  using Sums = TileSums<kLutWarpgroupTiles>;
  using Ring = WarpgroupRing<kLutUnitActivationBytes, kLutWarpgroupRingSlots, 1>;
  constexpr int kUnrolled = kSlots % Slots::kAhead == 0 ? 1 : Slots::kAhead;
  constexpr int kRingBegin = Table::kBytes;
  constexpr int kSumsBegin = kRingBegin + kLutWarpgroups * Ring::kBytes;
  constexpr int kBarriersBegin = kSumsBegin + 4 * kSlots * Sums::kValues * 4;
  static_assert(kBarriersBegin + kLutWarpgroups * Ring::kBarrierBytes ==
                LutWarpgroupSharedBytes(kBits, kSlots));
  extern __shared__ __align__(128) uint32_t shared[];
  const int warp = ptx::UniformWarp();
  const int group = warp / 4;
  const int place = (warp - group) & 3;
  const int steps = (args.units_per_row - group + kLutWarpgroups - 1) / kLutWarpgroups;
  const int record_bytes = LutRecordBytes(kBits, args.has_scales ? 4 : 0);
  const int block = static_cast<int>(blockIdx.x);
  const int first_row = block * args.row_quotient + min(block, args.row_remainder);
  const int rows_of_block = args.row_quotient + (block < args.row_remainder ? 1 : 0);

  ptx::LaunchDependents();
  const auto values = Table::Load(args.table);
  Slots slots(args);
  const auto begin = [&](int chunk) {
    const int rows = min(args.chunk_rows, rows_of_block - chunk);
    const int64_t record =
        static_cast<int64_t>(first_row + chunk + place) * args.units_per_row + group;
    slots.Start(args.packed + record * record_bytes, (rows - place + 3) >> 2, steps);
    return rows;
  };
  int rows = begin(0);
  Table::Fill(shared, values);
  const Table table(shared);
  const uint32_t base = ptx::SharedAddress(shared);
  Ring ring(base + kRingBegin + group * Ring::kBytes,
            base + kBarriersBegin + group * Ring::kBarrierBytes, warp % 4 == 0);
  float* sums = reinterpret_cast<float*>(shared) + kSumsBegin / 4;
  const WarpgroupTurns<kLutWarpgroups> turns(group);
  ptx::WaitForPreviousGrids();
  __syncthreads();

  for (int chunk = 0; chunk < rows_of_block; chunk += args.chunk_rows) {
    if (chunk > 0) rows = begin(chunk);
    ring.Start(reinterpret_cast<const char*>(args.u) + group * kLutUnitActivationBytes,
               kLutWarpgroups * kLutUnitActivationBytes, steps);
    LutUnitMultiplier<kBits> multiplier(table);
    float totals[kSlots][kLutWarpgroupTiles][4] = {};
#pragma unroll 1
    for (int first = 0; first < steps; first += kUnrolled) {
#pragma unroll
      for (int i = 0; i < kUnrolled; ++i) {
        if (first + i >= steps) break;
        const uint64_t b = ptx::WarpgroupOperandB(ring.Wait());
#pragma unroll
        for (int r = 0; r < kSlots; ++r) {
          const int n = i * kSlots + r;
          multiplier.Multiply(slots.Take(n), r + 1 < kSlots || slots.Has(r), b,
                              args.is_bfloat16 != 0, totals[r]);
          slots.LoadAfter(n, r);
          __syncwarp();  // keeps the loads here
          if (r == 0 && first + i > 0) ring.RefillPrevious();
        }
        ring.Advance();
        ring.ReleasePrevious();
        slots.Advance();
      }
    }
    if (group > 0) turns.Wait();
#pragma unroll
    for (int r = 0; r < kSlots; ++r) {
      if (!slots.Has(r)) continue;
      const int row = static_cast<int>(threadIdx.x) % 32 / 4;
      Sums::Put(sums + (4 * r + place) * Sums::kValues, totals[r], row, row + 8, group > 0);
    }
    if (group + 1 < kLutWarpgroups) turns.Pass();
    __syncthreads();
    WriteLutSums(args, sums, first_row + chunk, rows);
    if (chunk + args.chunk_rows < rows_of_block) __syncthreads();
  }
}

template <int kBits>
auto ChooseLutWarpgroupKernel(int slots) {
  switch (slots) {
    case 1:
      return FusedLutWarpgroup<kBits, 1>;
    case 2:
      return FusedLutWarpgroup<kBits, 2>;
    case 3:
      return FusedLutWarpgroup<kBits, 3>;
    default:
      return FusedLutWarpgroup<kBits, 4>;
  }
}

template <int kBits>
absl::Status LaunchLutWarpgroupBits(const CudaDevice& device, const LutFusedConfig& config,
                                    const LutFusedArguments& arguments) {
  const LaunchOptions options = {.grid = static_cast<unsigned>(config.grid),
                                 .block = kLutWarpgroupThreads,
                                 .shared_bytes = config.shared_bytes,
                                 .overlaps_previous = true};
  return LaunchKernel(device, options,
                      ChooseLutWarpgroupKernel<kBits>(config.chunk_rows / kLutWarpgroups),
                      arguments);
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_WARPGROUP_CUH_
