// Kernels of one code in the plain layout. A unit (qtip_cuda_layout.h) of a plain layer: lane (s,
// g, q) owns tile 4 s + q and its weights 64 g ... 64 g + 63, which are rows 4 g to 4 g + 3. In the
// i-th matrix instruction it carries rows 4 g + 2 (i >> 2) and the one after in its row slots, and
// columns 2 (i & 3) + {0, 1, 8, 9}: the activations lie as for code hyb.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_CUH_

#include "kernels/formats/qtip/qtip_cuda_fused_segments.cuh"
#include "kernels/formats/qtip/qtip_cuda_plain.h"
#include "kernels/formats/qtip/qtip_cuda_plain_code.cuh"
#include "kernels/formats/qtip/qtip_cuda_plain_digits.cuh"
#include "kernels/formats/qtip/qtip_cuda_plain_stream.cuh"
#include "kernels/formats/qtip/qtip_cuda_plain_words.cuh"
#include "kernels/formats/qtip/qtip_cuda_store_row.cuh"

namespace qtipd {

// Partial sums of the warps lie behind the table.
QTIPD_HOST_DEVICE constexpr size_t PlainTableBytes(size_t bytes) {
  return (bytes + 127) / 128 * 128;
}

// Calls sink(i, pairs) for i = 0..7: pairs[j] holds row 4 g + 2 (i >> 2) + (j & 1), columns 2 (i &
// 3) + 8 (j >> 1) + {0, 1} of the lane's tile. All lanes of the warp.
template <typename Code, int kBits, typename Sink>
__device__ __forceinline__ void DecodePlainUnit(const UnitWords<kBits>& unit,
                                                const typename Code::Context& context,
                                                Sink&& sink) {
  const PlainWords<kBits> words(unit);
#pragma unroll
  for (int i = 0; i < kUnitPairs / 4; ++i) {
    uint32_t pairs[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int row = 2 * (i >> 2) + (j & 1);
      const int column = 2 * (i & 3) + 8 * (j >> 1);
      const uint32_t a = words.State(row, column);
      const uint32_t b = Code::kV == 1 ? words.State(row, column + 1) : 0;
      pairs[j] = Code::Pair(context, a, b);
    }
    sink(i, pairs);
  }
}

// A row of a tile: sixteen weights.
template <typename Code>
__device__ __forceinline__ void StorePlainRow(__half* row, const uint32_t (&pairs)[8],
                                              unsigned writing) {
  uint32_t rounded[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    if constexpr (Code::kScale == 1) {
      rounded[i] = pairs[i];
    } else {
      const float2 two = __half22float2(PlainHalves(pairs[i]));
      rounded[i] = PlainBits(
          __floats2half2_rn(__fdiv_rn(two.x, Code::kScale), __fdiv_rn(two.y, Code::kScale)));
    }
  }
  StoreRow(row, rounded, writing);
}

template <typename Code>
__device__ __forceinline__ void StorePlainRow(float* row, const uint32_t (&pairs)[8], unsigned) {
#pragma unroll
  for (int i = 0; i < 8; i += 2) {
    const float2 a = __half22float2(PlainHalves(pairs[i]));
    const float2 b = __half22float2(PlainHalves(pairs[i + 1]));
    reinterpret_cast<float4*>(row)[i / 2] =
        make_float4(__fdiv_rn(a.x, Code::kScale), __fdiv_rn(a.y, Code::kScale),
                    __fdiv_rn(b.x, Code::kScale), __fdiv_rn(b.y, Code::kScale));
  }
}

template <typename Code, int kBits>
__global__ void __launch_bounds__(kDecodeThreads, 1)
    PlainDecodeKernel(const PlainDecodeArguments args) {
  extern __shared__ __align__(128) char table_memory[];
  const typename Code::Context context(table_memory, args.tlut, args.table_bits);
  const int lane = threadIdx.x % 32;
  const int64_t warp = static_cast<int64_t>(blockIdx.x) * kFusedWarps + threadIdx.x / 32;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kFusedWarps;
  __syncthreads();
  for (int64_t unit = warp; unit < args.units; unit += stride) {
    uint32_t rows[4][8];
    DecodePlainUnit<Code, kBits>(LoadUnit<kBits>(args.packed + unit * UnitBytes(kBits), lane),
                                 context, [&](int i, const uint32_t(&pairs)[4]) {
#pragma unroll
                                   for (int j = 0; j < 4; ++j) {
                                     rows[2 * (i >> 2) + (j & 1)][(i & 3) + 4 * (j >> 1)] =
                                         pairs[j];
                                   }
                                 });
    const int64_t column =
        unit % args.units_per_row * kUnitCols + (4 * (lane >> 4) + (lane & 3)) * kQtipTileCols;
    // Whole pairs of lanes leave: in_features is a multiple of two tiles.
    const unsigned writing = __ballot_sync(0xFFFFFFFFu, column < args.in_features);
    if (column >= args.in_features) continue;
    const int64_t first_row = unit / args.units_per_row * kUnitRows + 4 * ((lane >> 2) & 3);
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const int64_t at = (first_row + r) * args.in_features + column;
      if (args.is_wide) {
        StorePlainRow<Code>(static_cast<float*>(args.w) + at, rows[r], writing);
      } else {
        StorePlainRow<Code>(static_cast<__half*>(args.w) + at, rows[r], writing);
      }
    }
  }
}

// kRows row blocks at a time, all warps along the columns, as FusedLooping. One order of summation.
template <typename Code, int kBits, int kRows, int kColumns>
__global__ void __launch_bounds__(kDecodeThreads, 1)
    PlainFusedKernel(const PlainFusedArguments args) {
  extern __shared__ __align__(128) char table_memory[];
  constexpr uint32_t kPartialBytes = kFusedWarps * kColumns * kUnitRows * sizeof(float);
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const RowRange rows = RowsOfBlock(args);
  UnitStream<kBits, kRows> ahead(args, rows, warp, lane);

  ptx::LaunchDependents();
  ahead.LoadFirst();
  const typename Code::Context context(table_memory, args.tlut, args.table_bits);
  ptx::WaitForPreviousGrids();
  auto* partials =
      reinterpret_cast<float*>(table_memory + PlainTableBytes(Code::TableBytes(args.table_bits)));
  const uint16_t* of_lane = ActivationsOfLane<kColumns>(args, lane);
  Activations b = ActivationsOfUnit(args, of_lane, warp, lane);
  __syncthreads();
  for (int chunk = 0; chunk < rows.count; chunk += args.chunk_rows) {
    const int chunk_end = min(chunk + args.chunk_rows, rows.count);
    uint32_t partial = ptx::SharedAddress(partials + warp * kColumns * kUnitRows) +
                       PartialOffset<kColumns, kPlainLayoutRows>(lane);
#pragma unroll 1
    for (int row = chunk; row < chunk_end; row += kRows) {
      int step = 0;
      do {  // once for a warp without units too: its sums are zero
        float sums[kRows][2][4] = {};
        const int chain_end = min(step + kChainSteps, ahead.steps());
        const bool adds = step > 0;
#pragma unroll 1
        for (; step < chain_end; ++step) {
          const bool is_last = step + 1 == ahead.steps();
          const int next_unit = is_last ? warp : (step + 1) * kFusedWarps + warp;
          Activations next_b;
          ahead.Begin(row, is_last);
#pragma unroll
          for (int r = 0; r < kRows; ++r) {
            DecodePlainUnit<Code, kBits>(
                ahead.words(r), context, [&](int i, const uint32_t(&pairs)[4]) {
                  ptx::MmaM16N8K16(sums[r][i >> 2], pairs, b.word[i & 3], b.word[4 + (i & 3)]);
                });
            ahead.Load(r);
            if (r == 0) next_b = ActivationsOfUnit(args, of_lane, next_unit, lane);
          }
          ahead.End();
          b = next_b;
        }
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
#pragma unroll
          for (int i = 0; i < 8; ++i) sums[r][i / 4][i % 4] /= Code::kScale;
          StorePartial<kColumns, kPlainLayoutRows>(partial + r * kPartialBytes, sums[r], lane, adds,
                                                   row + r < chunk_end);
        }
      } while (step < ahead.steps());
      partial += kRows * kPartialBytes;
    }
    __syncthreads();
    ReducePartials<kColumns>(args, partials, rows.first + chunk, chunk_end - chunk, kFusedWarps);
    if (chunk_end < rows.count) __syncthreads();
  }
}

template <typename Code>
size_t PlainTableBytesOf(int table_bits) {
  return PlainTableBytes(Code::TableBytes(table_bits));
}

template <typename Code, int kBits>
absl::Status LaunchPlainDecodeKernel(const CudaDevice& device,
                                     const PlainDecodeArguments& arguments) {
  const int64_t blocks = (arguments.units + kFusedWarps - 1) / kFusedWarps;
  const LaunchOptions options = {
      .grid = static_cast<unsigned>(std::min<int64_t>(blocks, 2 * device.multiprocessors())),
      .block = kDecodeThreads,
      .shared_bytes = PlainTableBytes(Code::TableBytes(arguments.table_bits))};
  return LaunchKernel(device, options, PlainDecodeKernel<Code, kBits>, arguments);
}

template <typename Code, int kBits>
absl::Status LaunchPlainFusedKernel(const CudaDevice& device, const PlainConfig& config,
                                    const PlainFusedArguments& arguments) {
  const LaunchOptions options = {.grid = static_cast<unsigned>(config.grid),
                                 .block = kDecodeThreads,
                                 .shared_bytes = config.shared_bytes,
                                 .overlaps_previous = true};
  if constexpr (Code::kSumsBytes) {
    if (config.sums_digits) {
      return config.rows_in_flight == 1
                 ? LaunchKernel(device, options, DigitFusedKernel<Code, kBits, 1>, arguments)
                 : LaunchKernel(device, options, DigitFusedKernel<Code, kBits, 2>, arguments);
    }
  }
  if (config.rows_in_flight == 1) {
    return config.columns == 1
               ? LaunchKernel(device, options, PlainFusedKernel<Code, kBits, 1, 1>, arguments)
               : LaunchKernel(device, options, PlainFusedKernel<Code, kBits, 1, 4>, arguments);
  }
  return config.columns == 1
             ? LaunchKernel(device, options, PlainFusedKernel<Code, kBits, 2, 1>, arguments)
             : LaunchKernel(device, options, PlainFusedKernel<Code, kBits, 2, 4>, arguments);
}

template <typename Code, int kBits>
constexpr PlainKernels PlainKernelsOf() {
  return {PlainTableBytesOf<Code>, LaunchPlainDecodeKernel<Code, kBits>,
          LaunchPlainFusedKernel<Code, kBits>};
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_CUH_
