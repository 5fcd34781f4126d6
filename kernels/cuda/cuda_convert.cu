// Every type is read as fp32, which holds all of its values, and rounded once from there. The types
// are values and not template parameters: what a thread does is bound by memory.
#include "kernels/cuda/cuda_convert.h"
#include "kernels/cuda/half_words.cuh"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"

namespace qtipd {
namespace {

constexpr int kThreads = 128;
constexpr int kElements = 8;  // of a thread: 16 bytes of a 16-bit type
constexpr uintptr_t kAlignment = 16;

struct ConvertArguments {
  void* dst;
  const void* src;
  int64_t count;
  DType dst_dtype;
  DType src_dtype;
  bool is_aligned;  // both to kAlignment
};

__device__ void LoadEight(const ConvertArguments& args, int64_t first, float (&v)[kElements]) {
  if (args.src_dtype == DType::kF32) {
    const auto* from = reinterpret_cast<const float4*>(static_cast<const float*>(args.src) + first);
    const float4 a = from[0];
    const float4 b = from[1];
    v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w;
    v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
    return;
  }
  const uint4 from =
      *reinterpret_cast<const uint4*>(static_cast<const uint16_t*>(args.src) + first);
  const uint32_t words[] = {from.x, from.y, from.z, from.w};
  WidenWords(words, args.src_dtype == DType::kBF16, v);
}

__device__ void StoreEight(const ConvertArguments& args, int64_t first,
                           const float (&v)[kElements]) {
  if (args.dst_dtype == DType::kF32) {
    auto* to = reinterpret_cast<float4*>(static_cast<float*>(args.dst) + first);
    to[0] = make_float4(v[0], v[1], v[2], v[3]);
    to[1] = make_float4(v[4], v[5], v[6], v[7]);
    return;
  }
  uint32_t words[kElements / 2];
#pragma unroll
  for (int i = 0; i < kElements / 2; ++i) {
    words[i] = NarrowPair(make_float2(v[2 * i], v[2 * i + 1]), args.dst_dtype == DType::kBF16);
  }
  *reinterpret_cast<uint4*>(static_cast<uint16_t*>(args.dst) + first) =
      make_uint4(words[0], words[1], words[2], words[3]);
}

__device__ void ConvertOne(const ConvertArguments& args, int64_t i) {
  const float value =
      args.src_dtype == DType::kF32
          ? static_cast<const float*>(args.src)[i]
          : Widen(static_cast<const uint16_t*>(args.src)[i], args.src_dtype == DType::kBF16);
  if (args.dst_dtype == DType::kF32) {
    static_cast<float*>(args.dst)[i] = value;
  } else {
    static_cast<uint16_t*>(args.dst)[i] = Narrow(value, args.dst_dtype == DType::kBF16);
  }
}

__global__ void __launch_bounds__(kThreads) ConvertElements(const ConvertArguments args) {
  ptx::LaunchDependents();
  ptx::WaitForPreviousGrids();
  const int64_t first = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kElements;
  if (args.is_aligned && first + kElements <= args.count) {
    float v[kElements];
    LoadEight(args, first, v);
    StoreEight(args, first, v);
    return;
  }
  for (int64_t i = first; i < min(first + kElements, args.count); ++i) ConvertOne(args, i);
}

bool IsAligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % kAlignment == 0; }

}  // namespace

absl::Status LaunchConvert(const CudaDevice& device, void* dst, DType dst_dtype, const void* src,
                           DType src_dtype, int64_t count) {
  if (count == 0) return absl::OkStatus();
  constexpr int64_t kPerBlock = kThreads * kElements;
  const LaunchOptions options = {.grid = static_cast<unsigned>((count + kPerBlock - 1) / kPerBlock),
                                 .block = kThreads,
                                 .overlaps_previous = true};
  return LaunchKernel(device, options, ConvertElements,
                      ConvertArguments{.dst = dst,
                                       .src = src,
                                       .count = count,
                                       .dst_dtype = dst_dtype,
                                       .src_dtype = src_dtype,
                                       .is_aligned = IsAligned(dst) && IsAligned(src)});
}

}  // namespace qtipd
