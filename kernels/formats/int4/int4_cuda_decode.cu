// Decoding to a matrix: bound by its writes. A warp takes a unit at a time; lanes 4 g to 4 g + 3
// have 32 neighbouring columns of a row between them, eight each, so that every store of a warp
// fills whole 32-byte sectors.
#include "kernels/formats/int4/int4_cuda_decode.h"

#include <cuda_fp16.h>

#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"
#include "kernels/formats/int4/int4_cuda_decode.cuh"

namespace qtipd {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kMostBlocks = 2;  // of a multiprocessor, that registers leave room for
constexpr int kUnitsAhead = 4;  // per warp: hides the latency of memory behind writing
constexpr int kChunks = 4;
constexpr int kChunkCols = kInt4UnitCols / kChunks;
constexpr int kLaneCols = 8;  // of a chunk

struct DecodeArguments {
  const char* packed;
  void* w;
  int64_t units;  // of the layer
  int units_per_row;
  int out_features;
  int in_features;
  bool is_half;
};

__device__ __forceinline__ void StoreEight(const float (&v)[kLaneCols], float* to) {
  auto* words = reinterpret_cast<float4*>(to);
  words[0] = {v[0], v[1], v[2], v[3]};
  words[1] = {v[4], v[5], v[6], v[7]};
}

__device__ __forceinline__ void StoreEight(const float (&v)[kLaneCols], __half* to) {
  __half2 pairs[kLaneCols / 2];
#pragma unroll
  for (int i = 0; i < kLaneCols / 2; ++i) pairs[i] = __floats2half2_rn(v[2 * i], v[2 * i + 1]);
  *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(pairs);
}

// Four weights of a row from two pairs of differences, which are 1 / factor too large.
__device__ __forceinline__ void Scale(uint32_t first, uint32_t second, float factor, float scale,
                                      float* to) {
  const float2 low = __half22float2(*reinterpret_cast<const __half2*>(&first));
  const float2 high = __half22float2(*reinterpret_cast<const __half2*>(&second));
  to[0] = low.x * factor * scale;
  to[1] = low.y * factor * scale;
  to[2] = high.x * factor * scale;
  to[3] = high.y * factor * scale;
}

template <int kScales, bool kHasZeros, typename T>
__device__ __forceinline__ void DecodeUnit(const DecodeArguments& args, int64_t unit,
                                           const Int4UnitWords<kScales, kHasZeros>& words,
                                           int lane) {
  const auto row_block = static_cast<int>(unit / args.units_per_row);
  const int in_row = static_cast<int>(unit - int64_t{row_block} * args.units_per_row);
  const int row = row_block * kInt4UnitRows + lane / 4;
  const int row_8 = row + kInt4RowPairs;
  const int first_col = in_row * kInt4UnitCols + lane % 4 * kLaneCols;
  auto* const w = static_cast<T*>(args.w) + int64_t{row} * args.in_features + first_col;
  T* const w_8 = w + int64_t{kInt4RowPairs} * args.in_features;
#pragma unroll
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    const int entry = chunk / (kChunks / kScales);
    const Int4Bias bias = words.BiasOf(entry);
    const float2 scale = words.ScaleOf(entry, args.is_half);
    float of_row[kLaneCols];
    float of_row_8[kLaneCols];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      uint32_t a[4];
      Int4Fragment(words.codes[2 * chunk + i], bias, a);
      Scale(a[0], a[2], 1, scale.x, of_row + 4 * i);
      Scale(a[1], a[3], kInt4SecondRowFactor, scale.y, of_row_8 + 4 * i);
    }
    if (first_col + chunk * kChunkCols >= args.in_features) continue;
    if (row < args.out_features) StoreEight(of_row, w + chunk * kChunkCols);
    if (row_8 < args.out_features) StoreEight(of_row_8, w_8 + chunk * kChunkCols);
  }
}

// Few warps with several units ahead each, rather than many: they write to fewer places at a time.
template <int kScales, bool kHasZeros, typename T>
__global__ void __launch_bounds__(kThreads, kMostBlocks) Decode(const DecodeArguments args) {
  constexpr int kRecordBytes = Int4RecordBytes(kScales, kHasZeros);
  ptx::LaunchDependents();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t stride = int64_t{gridDim.x} * kWarps;
  int64_t unit = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  Int4UnitWords<kScales, kHasZeros> ahead[kUnitsAhead] = {};
  const auto load = [&](int i, int64_t at) {
    if (at < args.units) {
      ahead[i] = ReadInt4Unit<kScales, kHasZeros>(args.packed + at * kRecordBytes, lane);
    }
  };
#pragma unroll
  for (int i = 0; i < kUnitsAhead; ++i) load(i, unit + i * stride);
  ptx::WaitForPreviousGrids();  // they may still read w
  while (unit < args.units) {
#pragma unroll
    for (int i = 0; i < kUnitsAhead; ++i, unit += stride) {
      if (unit < args.units) DecodeUnit<kScales, kHasZeros, T>(args, unit, ahead[i], lane);
      load(i, unit + kUnitsAhead * stride);
    }
  }
}

template <int kScales, typename T>
auto ChooseKernel(bool has_zeros) {
  return has_zeros ? Decode<kScales, true, T> : Decode<kScales, false, T>;
}

template <typename T>
auto ChooseKernel(const Int4CudaLayout& layout) {
  switch (layout.scales_per_unit) {
    case 1:
      return ChooseKernel<1, T>(layout.has_zeros);
    case 2:
      return ChooseKernel<2, T>(layout.has_zeros);
    default:
      return ChooseKernel<4, T>(layout.has_zeros);
  }
}

}  // namespace

absl::Status LaunchInt4Decode(const CudaDevice& device, Shape shape, const Int4CudaLayout& layout,
                              const void* packed, DType dtype, void* w, int blocks_a_processor) {
  const int64_t units = layout.row_blocks * layout.units;
  const DecodeArguments arguments = {.packed = static_cast<const char*>(packed),
                                     .w = w,
                                     .units = units,
                                     .units_per_row = static_cast<int>(layout.units),
                                     .out_features = static_cast<int>(shape.out_features),
                                     .in_features = static_cast<int>(shape.in_features),
                                     .is_half = layout.is_half};
  const int64_t most = int64_t{blocks_a_processor} * device.multiprocessors();
  const LaunchOptions options = {
      .grid = static_cast<unsigned>(std::min<int64_t>((units + kWarps - 1) / kWarps, most)),
      .block = kThreads,
      .overlaps_previous = true};
  return LaunchKernel(
      device, options,
      dtype == DType::kF16 ? ChooseKernel<__half>(layout) : ChooseKernel<float>(layout), arguments);
}

}  // namespace qtipd
