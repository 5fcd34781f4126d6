// Fused decode and multiply of format "lut" on the tensor cores: a warp looks its indices up
// straight into A fragments of mma.m16n8k16 and multiplies them with activations in B fragments. A
// block's four fragments are one chain, whose sums are multiplied by the scales of its rows and
// added in fp32.
//
// A thread block owns whole row blocks; its warps share the steps of all of them evenly, in the
// order of columns, so that a warp keeps the activations of a step in registers for all row blocks.
// Sums go to shared memory, one place for every warp and row block, and are added up at the end: no
// atomics, one order of summation. Weights are loaded some steps ahead, before anything waits for
// the grids before this one. docs/performance/lut.md has predictions and versions.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_FUSED_CUH_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_FUSED_CUH_

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"
#include "kernels/cuda/ptx/mma.h"
#include "kernels/formats/lut/lut_cuda_channel.cuh"
#include "kernels/formats/lut/lut_cuda_fused.h"
#include "kernels/formats/lut/lut_cuda_step.cuh"
#include "kernels/formats/lut/lut_cuda_sums.cuh"
#include "kernels/formats/lut/lut_cuda_walk.cuh"

namespace qtipd {

// Of a step: of vector 8 n + lane / 4, what mma takes as B. Step t of block b takes words 2 t and
// 2 t + 1.
template <int kTiles, int kBlocks>
struct LutActivations {
  uint32_t word[kTiles][kBlocks][8];
};

// Columns that do not exist are zero; vectors that do not are the last one, and not stored.
template <int kTiles, int kBlocks>
__device__ __forceinline__ void LoadLutActivations(const LutFusedArguments& args, int step,
                                                   int lane, LutActivations<kTiles, kBlocks>& to) {
  const int first = step * kBlocks * kLutBlockCols + lane % 4 * 8;
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
    const int vector = min(8 * n + lane / 4, args.columns - 1);
    const uint16_t* u = args.u + static_cast<int64_t>(vector) * args.in_features;
#pragma unroll
    for (int piece = 0; piece < 2 * kBlocks; ++piece) {
      const int column = first + piece * (kLutBlockCols / 2);
      uint4 v = make_uint4(0, 0, 0, 0);
      if (column < args.in_features) v = *reinterpret_cast<const uint4*>(u + column);
      uint32_t* word = to.word[n][piece / 2] + piece % 2 * 4;
      word[0] = v.x;
      word[1] = v.y;
      word[2] = v.z;
      word[3] = v.w;
    }
  }
}

// totals += scales times sums, which become zero.
template <int kTiles>
__device__ __forceinline__ void ScaleLutSums(float (&totals)[kTiles][4], float (&sums)[kTiles][4],
                                             float2 scales) {
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
    totals[n][0] += scales.x * sums[n][0];
    totals[n][1] += scales.x * sums[n][1];
    totals[n][2] += scales.y * sums[n][2];
    totals[n][3] += scales.y * sums[n][3];
#pragma unroll
    for (int i = 0; i < 4; ++i) sums[n][i] = 0;
  }
}

// totals += a step's weights times activations. done(j) says that vector j of the step's words is
// not needed any more.
template <int kBits, int kTiles, int kBlocks, int kScaleWords, typename Table, typename Done>
__device__ __forceinline__ void MultiplyLutStep(const LutStep<kBits, kBlocks, kScaleWords>& step,
                                                const LutActivations<kTiles, kBlocks>& b,
                                                const Table& table, bool is_bfloat16,
                                                float (&totals)[kTiles][4], Done&& done) {
  constexpr int kParts = kScaleWords == 8 ? 2 : 1;  // of a block, with a scale each
  const auto scales = [&](int block, int part) {
    return LutScales(step.scale[kParts * block + part], is_bfloat16);
  };
  const auto multiply = [&](float(&sums)[kTiles][4], const uint32_t(&a)[4], int block, int t) {
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      ptx::MmaM16N8K16(sums[n], a, b.word[n][block][2 * t], b.word[n][block][2 * t + 1]);
    }
  };
#pragma unroll
  for (int block = 0; block < kBlocks; ++block) {
    float sums[kTiles][4] = {};
#pragma unroll
    for (int first = 0; first < 4; first += Table::kStepsAtOnce) {
      uint32_t a[Table::kStepsAtOnce][4];
      table.Fragments(step.word, block, first, a);
#pragma unroll
      for (int t = first; t < first + Table::kStepsAtOnce; ++t) {
        multiply(sums, a[t - first], block, t);
        if (t == 3 || (kParts == 2 && t == 1)) {
          ScaleLutSums(totals, sums, scales(block, kParts == 2 ? t / 2 : 0));
        }
      }
    }
#pragma unroll
    for (int j = 0; j < LutStep<kBits, kBlocks, kScaleWords>::kVectors; ++j) {
      if ((4 * j + 3) / kBits == block) done(j);
    }
  }
}

template <int kBits, int kColumns, int kScaleWords, typename Table>
__global__ void __launch_bounds__(LutMostWarps(kColumns) * 32, 1)
    FusedLut(const __grid_constant__ LutFusedArguments args) {
  extern __shared__ __align__(128) uint32_t shared[];
  constexpr int kTiles = kColumns > 8 ? 2 : 1;
  constexpr int kBlocks = LutStepBlocks(kBits);
  constexpr int kAhead = LutStepsAhead(kBits, kColumns, kScaleWords);
  using Step = LutStep<kBits, kBlocks, kScaleWords>;
  const int lane = threadIdx.x % 32;
  LutWalk<kBits, kBlocks, kScaleWords> walk(args, lane);

  ptx::LaunchDependents();
  const auto values = Table::Load(args.table);
  Step ring[kAhead];
#pragma unroll
  for (int k = 0; k < kAhead; ++k) {
#pragma unroll
    for (int i = 0; i < 4 * Step::kVectors; ++i) ring[k].word[i] = 0;
#pragma unroll
    for (int i = 0; i < Step::kScales; ++i) {
      ring[k].scale[i] = args.is_bfloat16 ? 0x3F803F80u : 0x3C003C00u;  // ones, without blocks
    }
  }
  const auto load_vector = [&](Step& to, int j) {
    LutLoadVectorIf(to, j, walk.ahead_words(), lane, walk.is_ahead_valid());
  };
  const auto load_scales = [&](Step& to) {
    LutLoadScalesIf(to, walk.ahead_scales(), walk.is_ahead_valid() && args.has_scales);
  };
  const auto fill_ring = [&] {
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
#pragma unroll
      for (int j = 0; j < Step::kVectors; ++j) load_vector(ring[k], j);
      load_scales(ring[k]);
      walk.AdvanceAhead();
    }
  };
  walk.StartChunk(0);
  fill_ring();
  Table::Fill(shared, values);
  Table table(shared);
  float* partials = reinterpret_cast<float*>(shared) + Table::SharedBytes() / 4;
  // Nothing so far depends on the grids before this one.
  ptx::WaitForPreviousGrids();
  __syncthreads();

  LutActivations<kTiles, kBlocks> b;
  for (int chunk = 0; chunk < walk.rows_of_block(); chunk += args.chunk_rows) {
    const LutPartials<kColumns> sums(partials, walk.rows(), lane);
    sums.ClearUntouched(walk);
    while (walk.has_steps()) {
#pragma unroll
      for (int k = 0; k < kAhead; ++k) {
        if (walk.has_steps()) {
          if (walk.is_new_column()) LoadLutActivations(args, walk.step(), lane, b);
          table.SelectRows(args.table, walk.row_block());
          float totals[kTiles][4] = {};
          MultiplyLutStep(ring[k], b, table, args.is_bfloat16 != 0, totals, [&](int j) {
            load_vector(ring[k], j);
            __syncwarp();  // keeps the load here
          });
          load_scales(ring[k]);
          sums.Add(totals, walk.row(), walk.is_first_of_row());
          walk.AdvanceAhead();
          walk.Advance();
        }
      }
    }
    const int rows = walk.rows();
    walk.StartChunk(chunk + args.chunk_rows);
    fill_ring();
    __syncthreads();
    ReduceLutPartials<kColumns>(args, partials, walk.first_row_of_block() + chunk, rows);
    if (chunk + args.chunk_rows < walk.rows_of_block()) __syncthreads();
  }
}

template <int kBits, int kScaleWords>
auto ChooseLutKernel(const LutCudaLayout& layout, const LutFusedConfig& config) {
  if (layout.is_per_channel) return FusedLut<kBits, 8, kScaleWords, LutChannelTable<kBits>>;
  using Table = LutTensorTable<kBits>;
  if (config.columns == 1) return FusedLut<kBits, 1, kScaleWords, Table>;
  if (config.columns == 8) return FusedLut<kBits, 8, kScaleWords, Table>;
  return FusedLut<kBits, 16, kScaleWords, Table>;
}

template <int kBits>
absl::Status LaunchLutFusedBits(const CudaDevice& device, const LutCudaLayout& layout,
                                const LutFusedConfig& config, const LutFusedArguments& arguments) {
  const LaunchOptions options = {.grid = static_cast<unsigned>(config.grid),
                                 .block = static_cast<unsigned>(config.warps * 32),
                                 .shared_bytes = config.shared_bytes,
                                 .overlaps_previous = true};
  if constexpr (LutHasRowPieces(kBits)) {
    if (config.uses_sums) {
      return LaunchKernel(
          device, options,
          layout.scale_words() == 8 ? FusedLutSums<kBits, 8> : FusedLutSums<kBits, 4>, arguments);
    }
  }
  const auto kernel = layout.scale_words() == 8 ? ChooseLutKernel<kBits, 8>(layout, config)
                                                : ChooseLutKernel<kBits, 4>(layout, config);
  return LaunchKernel(device, options, kernel, arguments);
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_FUSED_CUH_
