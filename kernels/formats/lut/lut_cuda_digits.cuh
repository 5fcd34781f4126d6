// The fused kernel of format "lut" for one vector at 1 bit with one codebook: sums in integers.
//
// A weight is c0 + b (c1 - c0), so that a row needs the sum of the activations where b is set. One
// mask leaves four bits of a row in four bytes, each with the value 2^j of its place j: an A
// fragment of mma.m16n8k32 costs four instructions and holds 512 weights. Activations are split
// into bytes exactly: an fp16 number is an integer of 41 bits and a sign times 2^-24; times 2^(7 -
// j) it has seven digits from -128 to 127 to the base 256, and the seven are columns of B, which
// one vector leaves free. All sums of a block of 64 columns are exact; in fp32 they are multiplied
// by its scale and added.
//
// Splitting sums by the bits of weights: T-MAC (Wei et al., 2024, arXiv 2407.00088) and LUT-GEMM
// (Park et al., 2022, arXiv 2206.09557), with tables of partial sums instead.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_DIGITS_CUH_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_DIGITS_CUH_

#include <cuda_fp16.h>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"
#include "kernels/cuda/ptx/mma_int8.h"
#include "kernels/formats/lut/lut_cuda_fused.h"
#include "kernels/formats/lut/lut_cuda_step.cuh"
#include "kernels/formats/lut/lut_cuda_walk.cuh"

namespace qtipd {

// Where a warp arranges digits: words [block][two places][8 digits][4 lanes][two halves], four
// digits of columns 2 y + place of a half in a word; blocks are as far apart as keeps the warp's
// writes off each other's banks.
inline constexpr int kLutDigitBlockWords = kLutDigitWords / kLutUnitBlocks;

// Of a unit: what mma takes as B for digit lane / 4, and the sums of the blocks' activations.
struct LutDigits {
  uint32_t word[kLutUnitBlocks][2][2];
  float sum[kLutUnitBlocks];
};

// An fp16 number in seven bytes, digits to the base 256, times 2^(24 + shift); shift is at most 7.
__device__ __forceinline__ uint64_t LutDigitsOf(uint16_t bits, int shift) {
  constexpr uint64_t kHalves = 0x0080808080808080;
  const int exponent = bits >> 10 & 31;
  const uint32_t mantissa = (bits & 1023) | (exponent == 0 ? 0 : 1024);
  const auto magnitude = static_cast<int64_t>(uint64_t{mantissa} << (max(exponent, 1) - 1 + shift));
  const int64_t value = bits >> 15 != 0 ? -magnitude : magnitude;
  return (static_cast<uint64_t>(value) + kHalves) ^ kHalves;
}

// Byte `i` of the low or high halves of four numbers, as words of i = 0 to 3.
__device__ __forceinline__ void TransposeBytes(const uint32_t (&rows)[4], uint32_t (&columns)[4]) {
  const uint32_t low01 = __byte_perm(rows[0], rows[1], 0x5140);
  const uint32_t low23 = __byte_perm(rows[2], rows[3], 0x5140);
  const uint32_t high01 = __byte_perm(rows[0], rows[1], 0x7362);
  const uint32_t high23 = __byte_perm(rows[2], rows[3], 0x7362);
  columns[0] = __byte_perm(low01, low23, 0x5410);
  columns[1] = __byte_perm(low01, low23, 0x7632);
  columns[2] = __byte_perm(high01, high23, 0x5410);
  columns[3] = __byte_perm(high01, high23, 0x7632);
}

// The digits of unit `unit`; `room` is the warp's own. All lanes.
__device__ __forceinline__ LutDigits LoadLutDigits(const LutFusedArguments& args, int unit,
                                                   int lane, uint32_t* room) {
  const int block = lane / 8;
  const int half = lane / 4 % 2;
  const int column = unit * kLutUnitCols + block * kLutBlockCols + half * 32 + lane % 4 * 8;
  uint4 eight = make_uint4(0, 0, 0, 0);
  if (column < args.in_features) eight = *reinterpret_cast<const uint4*>(args.u + column);
  const uint32_t pairs[4] = {eight.x, eight.y, eight.z, eight.w};
  float sum = 0;
  __syncwarp();  // nobody reads the last digits any more
#pragma unroll
  for (int place = 0; place < 2; ++place) {
    uint32_t low[4], high[4], digits[8];
#pragma unroll
    for (int y = 0; y < 4; ++y) {
      const auto bits = static_cast<uint16_t>(place == 0 ? pairs[y] & 0xFFFF : pairs[y] >> 16);
      sum += __half2float(__ushort_as_half(bits));
      const uint64_t bytes = LutDigitsOf(bits, 7 - 2 * block - place);
      low[y] = static_cast<uint32_t>(bytes);
      high[y] = static_cast<uint32_t>(bytes >> 32);
    }
    uint32_t columns[4];
    TransposeBytes(low, columns);
#pragma unroll
    for (int i = 0; i < 4; ++i) digits[i] = columns[i];
    TransposeBytes(high, columns);
#pragma unroll
    for (int i = 0; i < 4; ++i) digits[4 + i] = columns[i];
    uint32_t* to = room + block * kLutDigitBlockWords + place * 64 + lane % 4 * 2 + half;
#pragma unroll
    for (int digit = 0; digit < 8; ++digit) to[digit * 8] = digits[digit];
  }
#pragma unroll
  for (int other = 1; other < 8; other *= 2) sum += __shfl_xor_sync(0xFFFFFFFFu, sum, other);
  __syncwarp();
  LutDigits result;
#pragma unroll
  for (int b = 0; b < kLutUnitBlocks; ++b) {
    result.sum[b] = __shfl_sync(0xFFFFFFFFu, sum, 8 * b);
#pragma unroll
    for (int place = 0; place < 2; ++place) {
      const uint2 two =
          *reinterpret_cast<const uint2*>(room + b * kLutDigitBlockWords + place * 64 + lane * 2);
      result.word[b][place][0] = two.x;
      result.word[b][place][1] = two.y;
    }
  }
  return result;
}

// What a unit's sums become weights times activations by.
struct LutDigitScales {
  float low;   // of an activation
  float even;  // of digit 2 (lane % 4) where a bit is set, and of the next one
  float odd;
};

__device__ __forceinline__ LutDigitScales LutScalesOfDigits(const void* table, int lane) {
  // Entry 1 of the table is the pair of entries 1 and 0.
  const uint32_t pair = __ldg(static_cast<const uint32_t*>(table) + 4);
  const float first = __half2float(__ushort_as_half(static_cast<uint16_t>(pair & 0xFFFF)));
  const float second = __half2float(__ushort_as_half(static_cast<uint16_t>(pair >> 16)));
  const float even = (first - second) * __uint_as_float((127 - 31 + 16 * (lane % 4)) << 23);
  return {.low = second, .even = even, .odd = even * 256};
}

// The sums of rows g and g + 8 of a unit.
__device__ __forceinline__ float2 MultiplyLutDigits(const LutStep<1, kLutUnitBlocks, 4>& step,
                                                    const LutDigits& digits, bool is_bfloat16,
                                                    const LutDigitScales& weights) {
  // fp32 numbers whose low 22 bits and sign are an integer.
  constexpr int32_t kIntegerBits = 0x4B400000;
  constexpr float kInteger = 12582912.0f;
  float totals[4] = {};
  float2 lows = make_float2(0, 0);
#pragma unroll
  for (int block = 0; block < kLutUnitBlocks; ++block) {
    int32_t sums[4] = {kIntegerBits, kIntegerBits, kIntegerBits, kIntegerBits};
#pragma unroll
    for (int place = 0; place < 2; ++place) {
      const uint32_t mask = 0x01010101u << (2 * block + place);
      const uint32_t a[4] = {step.word[0] & mask, step.word[1] & mask, step.word[2] & mask,
                             step.word[3] & mask};
      ptx::MmaM16N8K32(sums, a, digits.word[block][place][0], digits.word[block][place][1]);
    }
    const float2 scales = LutScales(step.scale[block], is_bfloat16);
    totals[0] += scales.x * (__int_as_float(sums[0]) - kInteger);
    totals[1] += scales.x * (__int_as_float(sums[1]) - kInteger);
    totals[2] += scales.y * (__int_as_float(sums[2]) - kInteger);
    totals[3] += scales.y * (__int_as_float(sums[3]) - kInteger);
    lows.x += scales.x * digits.sum[block];
    lows.y += scales.y * digits.sum[block];
  }
  float2 result = make_float2(weights.even * totals[0] + weights.odd * totals[1],
                              weights.even * totals[2] + weights.odd * totals[3]);
#pragma unroll
  for (int other = 1; other < 4; other *= 2) {
    result.x += __shfl_xor_sync(0xFFFFFFFFu, result.x, other);
    result.y += __shfl_xor_sync(0xFFFFFFFFu, result.y, other);
  }
  return make_float2(result.x + weights.low * lows.x, result.y + weights.low * lows.y);
}

// Walks like FusedLut.
static __global__ void __launch_bounds__(LutMostWarps(1, 1) * 32, 1)
    FusedLutDigits(const __grid_constant__ LutFusedArguments args) {
  extern __shared__ __align__(128) uint32_t shared[];
  constexpr int kAhead = 4;
  using Step = LutStep<1, kLutUnitBlocks, 4>;
  const int lane = threadIdx.x % 32;
  uint32_t* room = shared + threadIdx.x / 32 * kLutDigitWords;
  float* partials = reinterpret_cast<float*>(shared) + blockDim.x / 32 * kLutDigitWords;
  LutWalk<1, kLutUnitBlocks, 4> walk(args, lane);

  ptx::LaunchDependents();
  const LutDigitScales weights = LutScalesOfDigits(args.table, lane);
  Step ring[kAhead];
#pragma unroll
  for (int k = 0; k < kAhead; ++k) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      ring[k].word[i] = 0;
      ring[k].scale[i] = args.is_bfloat16 ? 0x3F803F80u : 0x3C003C00u;  // ones, without blocks
    }
  }
  const auto load = [&](Step& to) {
    LutLoadVectorIf(to, 0, walk.ahead_words(), lane, walk.is_ahead_valid());
    LutLoadScalesIf(to, walk.ahead_scales(), walk.is_ahead_valid() && args.has_scales);
    walk.AdvanceAhead();
  };
  walk.StartChunk(0);
#pragma unroll
  for (int k = 0; k < kAhead; ++k) load(ring[k]);
  ptx::WaitForPreviousGrids();

  LutDigits digits;
  for (int chunk = 0; chunk < walk.rows_of_block(); chunk += args.chunk_rows) {
    const LutPartials<1> sums(partials, walk.rows(), lane);
    sums.ClearUntouched(walk);
    while (walk.has_steps()) {
#pragma unroll
      for (int k = 0; k < kAhead; ++k) {
        if (walk.has_steps()) {
          if (walk.is_new_column()) digits = LoadLutDigits(args, walk.step(), lane, room);
          const float2 both = MultiplyLutDigits(ring[k], digits, args.is_bfloat16 != 0, weights);
          load(ring[k]);
          __syncwarp();  // keeps the load here
          const float totals[1][4] = {{both.x, 0, both.y, 0}};
          sums.Add(totals, walk.row(), walk.is_first_of_row());
          walk.Advance();
        }
      }
    }
    const int rows = walk.rows();
    walk.StartChunk(chunk + args.chunk_rows);
#pragma unroll
    for (int k = 0; k < kAhead; ++k) load(ring[k]);
    __syncthreads();
    ReduceLutPartials<1>(args, partials, walk.first_row_of_block() + chunk, rows);
    if (chunk + args.chunk_rows < walk.rows_of_block()) __syncthreads();
  }
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_DIGITS_CUH_
