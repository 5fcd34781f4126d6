// Decodes a layer of format "lut" to a full matrix: a warp takes a unit at a time, and a lane
// writes pieces of eight neighbouring weights, so that every store fills whole 32-byte sectors.
#include <cuda_fp16.h>

#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"
#include "kernels/formats/lut/lut_cuda_matrix.h"
#include "kernels/formats/lut/lut_cuda_step.cuh"

namespace qtipd {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kPiece = 8;  // weights that a lane writes side by side

struct DecodeArguments {
  const char* packed;
  const __half* codebooks;
  void* w;
  LutCudaLayout layout;
  int64_t units;
};

__device__ __forceinline__ float ScaleValue(uint16_t bits, bool is_bfloat16) {
  return is_bfloat16 ? __uint_as_float(uint32_t{bits} << 16) : __half2float(__ushort_as_half(bits));
}

__device__ __forceinline__ void Store(__half* to, const float (&v)[kPiece]) {
  __half2 pairs[kPiece / 2];
#pragma unroll
  for (int i = 0; i < kPiece / 2; ++i) pairs[i] = __floats2half2_rn(v[2 * i], v[2 * i + 1]);
  *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(pairs);
}

__device__ __forceinline__ void Store(float* to, const float (&v)[kPiece]) {
  reinterpret_cast<float4*>(to)[0] = make_float4(v[0], v[1], v[2], v[3]);
  reinterpret_cast<float4*>(to)[1] = make_float4(v[4], v[5], v[6], v[7]);
}

// One piece of each of the lane's two rows in half `half` of block `block` of the unit whose first
// row and column are `row`, `column`.
template <int kBits, typename Weight>
__device__ __forceinline__ void DecodePieces(const DecodeArguments& args,
                                             const uint32_t (&words)[4 * kBits],
                                             const __half* const (&books)[2], uint32_t scales,
                                             int block, int half, int64_t row, int64_t column) {
  const LutCudaLayout& layout = args.layout;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const auto bits = static_cast<uint16_t>(r == 0 ? scales & 0xFFFF : scales >> 16);
    const float scale = layout.block == 0 ? 1.0f : ScaleValue(bits, layout.is_bfloat16);
    float values[kPiece];
#pragma unroll
    for (int k = 0; k < kPiece; ++k) {
      const int pair = 4 * (2 * half + k / 4) + r + 2 * (k / 2 % 2);
      values[k] =
          __half2float(books[r][LutIndexInWords<kBits>(words, block, 2 * pair + k % 2)]) * scale;
    }
    const int64_t at = row + r * (kLutUnitRows / 2);
    if (at < layout.out_features && column < layout.in_features) {
      Store(static_cast<Weight*>(args.w) + at * layout.in_features + column, values);
    }
  }
}

template <int kBits, typename Weight>
__device__ __forceinline__ void DecodeUnit(const DecodeArguments& args, const __half* shared_book,
                                           int64_t unit) {
  const LutCudaLayout& layout = args.layout;
  const int lane = threadIdx.x % 32;
  const char* record = args.packed + unit * layout.record_bytes();
  LutStep<kBits, kLutUnitBlocks, 4> step = {};
#pragma unroll
  for (int j = 0; j < kBits; ++j) LutLoadVectorIf(step, j, record, lane, true);
  const int64_t row = unit / layout.units_per_row() * kLutUnitRows + lane / 4;
  const int64_t column = unit % layout.units_per_row() * kLutUnitCols + lane % 4 * kPiece;
  const int scale_words = layout.scale_words();
  const auto* scales =
      reinterpret_cast<const uint32_t*>(record + LutIndexBytes(kBits)) + lane / 4 * scale_words;
  const __half* books[2] = {shared_book, shared_book};
  if (layout.is_per_channel) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      books[r] = args.codebooks + (row + r * (kLutUnitRows / 2)) * layout.entries();
    }
  }
#pragma unroll
  for (int block = 0; block < kLutUnitBlocks; ++block) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int scale = scale_words == 8 ? 2 * block + half : block;
      DecodePieces<kBits, Weight>(args, step.word, books,
                                  scale_words == 0 ? 0 : __ldg(scales + scale), block, half, row,
                                  column + block * kLutBlockCols + half * (kLutBlockCols / 2));
    }
  }
}

template <int kBits, typename Weight>
__global__ void __launch_bounds__(kThreads) DecodeUnits(const DecodeArguments args) {
  __shared__ __half book[1 << kBits];
  ptx::LaunchDependents();
  if (!args.layout.is_per_channel) {
    for (int i = threadIdx.x; i < 1 << kBits; i += kThreads) book[i] = args.codebooks[i];
  }
  ptx::WaitForPreviousGrids();
  __syncthreads();
  const int64_t stride = int64_t{gridDim.x} * kWarps;
  for (int64_t unit = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32; unit < args.units;
       unit += stride) {
    DecodeUnit<kBits, Weight>(args, book, unit);
  }
}

template <int kBits>
absl::Status LaunchBits(const CudaDevice& device, const DecodeArguments& args, DType dtype,
                        int blocks) {
  const int64_t most = int64_t{device.multiprocessors()} * blocks;
  const LaunchOptions options = {
      .grid = static_cast<unsigned>(std::min((args.units + kWarps - 1) / kWarps, most)),
      .block = kThreads,
      .overlaps_previous = true};
  return dtype == DType::kF16 ? LaunchKernel(device, options, DecodeUnits<kBits, __half>, args)
                              : LaunchKernel(device, options, DecodeUnits<kBits, float>, args);
}

}  // namespace

absl::Status LaunchLutDecode(const CudaDevice& device, const LutCudaLayout& layout,
                             const void* packed, const void* codebooks, DType dtype, void* w,
                             int blocks) {
  const DecodeArguments args = {.packed = static_cast<const char*>(packed),
                                .codebooks = static_cast<const __half*>(codebooks),
                                .w = w,
                                .layout = layout,
                                .units = layout.row_blocks() * layout.units_per_row()};
  switch (layout.bits) {
    case 1:
      return LaunchBits<1>(device, args, dtype, blocks);
    case 2:
      return LaunchBits<2>(device, args, dtype, blocks);
    case 3:
      return LaunchBits<3>(device, args, dtype, blocks);
    case 4:
      return LaunchBits<4>(device, args, dtype, blocks);
    default:
      return LaunchBits<8>(device, args, dtype, blocks);
  }
}

}  // namespace qtipd
