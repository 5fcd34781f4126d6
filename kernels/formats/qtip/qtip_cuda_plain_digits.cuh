// The fused kernel of codes 1mad and 2mad for one vector, in integers.
//
// A weight is the sum of the four bytes of a hash, less 510. Instead of adding the bytes up,
// turning the sum into fp16 and two of them into a pair, the hash itself is what the integer matrix
// instruction takes as four unsigned bytes, each against the same activation: one instruction less
// for the sum, one and a half for the pair. Activations are integers of 23 bits of the vector's
// largest, in three signed digits of base 256, which are three columns of the matrix instruction
// that one vector has to spare: an fp16 activation of at least 2^-11 of the largest is one exactly.
// All sums are exact integers; what is rounded is the result, and activations below that.
//
// Lanes own rows and tiles as in qtip_cuda_plain.cuh. In matrix instruction (p, c) a lane carries
// rows 4 g + 2 p and the one after, columns 2 c and 2 c + 1; column n of B is digit n & 3 of the
// segment n >> 2, digit 3 not being one.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_DIGITS_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_DIGITS_CUH_

#include "kernels/cuda/ptx/mma_int8.h"
#include "kernels/formats/qtip/qtip_cuda_fused_segments.cuh"
#include "kernels/formats/qtip/qtip_cuda_plain.h"
#include "kernels/formats/qtip/qtip_cuda_plain_code.cuh"
#include "kernels/formats/qtip/qtip_cuda_plain_stream.cuh"
#include "kernels/formats/qtip/qtip_cuda_plain_words.cuh"

namespace qtipd {

// Digits of the activations in shared memory, and what one unit of them is worth.
struct Digits {
  const uint32_t* column;  // three bytes, least significant first
  float unit;
};

// By all threads; followed by a barrier of the caller's. `columns` of `u` exist, zeros follow up to
// `padded`. A vector with an infinity or a NaN has a unit that is none.
__device__ __forceinline__ Digits MakeDigits(const uint16_t* u, int columns, int padded,
                                             uint32_t* digits, uint32_t* largest_of_warp) {
  uint32_t largest = 0;  // bits of magnitudes are ordered as they are, NaN above all
  for (int i = threadIdx.x; i < padded; i += kDecodeThreads) {
    const float v = i < columns ? __half2float(__ushort_as_half(u[i])) : 0.0f;
    digits[i] = __float_as_uint(v);
    largest = max(largest, __float_as_uint(fabsf(v)));
  }
  largest = __reduce_max_sync(0xFFFFFFFFu, largest);
  if (threadIdx.x % 32 == 0) largest_of_warp[threadIdx.x / 32] = largest;
  __syncthreads();
  largest = __reduce_max_sync(0xFFFFFFFFu, largest_of_warp[threadIdx.x % kFusedWarps]);
  // A power of two that takes the largest to [2^21, 2^22).
  constexpr int kBias = 127;
  constexpr int kTop = 21;
  const int exponent = static_cast<int>(largest >> 23) - kBias;
  const float scale = largest == 0 ? 0.0f : ldexpf(1.0f, kTop - exponent);
  constexpr float kMagic = 12582912.0f;   // 1.5 * 2^23: sums with it are rounded to integers
  constexpr uint32_t kBalance = 0x8080u;  // makes digits 0 and 1 signed
  for (int i = threadIdx.x; i < padded; i += kDecodeThreads) {
    const float rounded = fmaf(__uint_as_float(digits[i]), scale, kMagic);
    digits[i] = (__float_as_uint(rounded) - __float_as_uint(kMagic) + kBalance) ^ kBalance;
  }
  const bool is_finite = largest < 0x7F800000u;
  return {digits, is_finite ? ldexpf(1.0f, exponent - kTop) : __uint_as_float(0x7FC00000u)};
}

// The digits of the lane's tile of a unit, B fragments: digit `plane` four times.
struct UnitDigits {
  uint32_t column[kQtipTileCols];
};
__device__ __forceinline__ UnitDigits LoadDigits(const uint32_t* tile, int plane) {
  UnitDigits b;
  const uint32_t four_times = plane * 0x1111u;
#pragma unroll
  for (int i = 0; i < kQtipTileCols; i += 4) {
    const uint4 four = *reinterpret_cast<const uint4*>(tile + i);
    b.column[i] = __byte_perm(four.x, 0, four_times);
    b.column[i + 1] = __byte_perm(four.y, 0, four_times);
    b.column[i + 2] = __byte_perm(four.z, 0, four_times);
    b.column[i + 3] = __byte_perm(four.w, 0, four_times);
  }
  return b;
}

// kQtipMadMean times the sums of the digits of the warp's units, of the two columns of D that the
// lane holds: 2 q and 2 q + 1.
__device__ __forceinline__ int2 DigitMeans(const uint32_t* of_lane, int steps, int lane) {
  const int of_plane = 1 << 8 * (lane >> 2 & 3);
  int sum = 0;
  for (int step = 0; step < steps; ++step) {
#pragma unroll
    for (int i = 0; i < kQtipTileCols; ++i) {
      const uint32_t digits = of_lane[step * kFusedWarps * kUnitCols + i];
      sum = __dp4a(static_cast<int>(digits), of_plane, sum);
    }
  }
  sum += __shfl_xor_sync(0xFFFFFFFFu, sum, 1);
  sum += __shfl_xor_sync(0xFFFFFFFFu, sum, 2);
  const int column = 2 * (lane & 3);
  return {kQtipMadMean * __shfl_sync(0xFFFFFFFFu, sum, 4 * column),
          kQtipMadMean * __shfl_sync(0xFFFFFFFFu, sum, 4 * column + 4)};
}

// What a row's sums of digits are worth, in all lanes that StorePartial looks at.
__device__ __forceinline__ float Worth(int first, int second, int2 means, int lane, float factor) {
  const auto a = static_cast<float>(first - means.x);
  const float worth =
      lane % 2 == 0 ? a + 256.0f * static_cast<float>(second - means.y) : 65536.0f * a;
  return (worth + __shfl_xor_sync(0xFFFFFFFFu, worth, 1)) * factor;
}

// sums[p] of rows 4 g + 2 p and the one after.
template <typename Code, int kBits>
__device__ __forceinline__ void MultiplyDigits(const UnitWords<kBits>& unit, const UnitDigits& b,
                                               int32_t (&sums)[2][4]) {
  const PlainWords<kBits> words(unit);
#pragma unroll
  for (int p = 0; p < 2; ++p) {
#pragma unroll
    for (int c = 0; c < kQtipTileCols; c += 2) {
      const uint32_t hashes[4] = {
          Code::Hash(words.State(2 * p, c)), Code::Hash(words.State(2 * p + 1, c)),
          Code::Hash(words.State(2 * p, c + 1)), Code::Hash(words.State(2 * p + 1, c + 1))};
      ptx::MmaM16N8K32(sums[p], hashes, b.column[c], b.column[c + 1]);
    }
  }
}

// kRows row blocks at a time. Shared memory: digits, then partial sums [row block][warp][16].
template <typename Code, int kBits, int kRows>
__global__ void __launch_bounds__(kDecodeThreads, 1)
    DigitFusedKernel(const PlainFusedArguments args) {
  extern __shared__ __align__(128) uint32_t digit_memory[];
  constexpr uint32_t kPartialBytes = kFusedWarps * kUnitRows * sizeof(float);
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const RowRange rows = RowsOfBlock(args);
  const int padded = static_cast<int>(UnitsPerRow(args.in_features)) * kUnitCols;
  auto* partials = reinterpret_cast<float*>(digit_memory + padded);
  UnitStream<kBits, kRows> ahead(args, rows, warp, lane);

  ptx::LaunchDependents();
  ahead.LoadFirst();
  ptx::WaitForPreviousGrids();
  const Digits digits = MakeDigits(static_cast<const uint16_t*>(args.u), args.in_features, padded,
                                   digit_memory, reinterpret_cast<uint32_t*>(partials));
  __syncthreads();
  const float factor = digits.unit / Code::kScale;
  const uint32_t* of_lane =
      digits.column + warp * kUnitCols + (4 * (lane >> 4) + (lane & 3)) * kQtipTileCols;
  const int2 means = DigitMeans(of_lane, ahead.steps(), lane);
  for (int chunk = 0; chunk < rows.count; chunk += args.chunk_rows) {
    const int chunk_end = min(chunk + args.chunk_rows, rows.count);
    uint32_t partial =
        ptx::SharedAddress(partials + warp * kUnitRows) + PartialOffset<1, kPlainLayoutRows>(lane);
#pragma unroll 1
    for (int row = chunk; row < chunk_end; row += kRows) {
      int32_t sums[kRows][2][4] = {};
#pragma unroll 1
      for (int step = 0; step < ahead.steps(); ++step) {
        const UnitDigits b = LoadDigits(of_lane + step * kFusedWarps * kUnitCols, lane >> 2 & 3);
        ahead.Begin(row, step + 1 == ahead.steps());
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          MultiplyDigits<Code, kBits>(ahead.words(r), b, sums[r]);
          ahead.Load(r);
        }
        ahead.End();
      }
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        float worth[2][4] = {};
#pragma unroll
        for (int p = 0; p < 2; ++p) {
          worth[p][0] = Worth(sums[r][p][0], sums[r][p][1], means, lane, factor);
          worth[p][2] = Worth(sums[r][p][2], sums[r][p][3], means, lane, factor);
        }
        StorePartial<1, kPlainLayoutRows>(partial + r * kPartialBytes, worth, lane, false,
                                          row + r < chunk_end);
      }
      partial += kRows * kPartialBytes;
    }
    __syncthreads();
    ReducePartials<1>(args, partials, rows.first + chunk, chunk_end - chunk, kFusedWarps);
    if (chunk_end < rows.count) __syncthreads();
  }
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_DIGITS_CUH_
