// 16-bit floats of either type, FP16 or BF16. Which one is a value that is the same for the whole
// grid: a kernel that only reads and writes them needs no second instance.
#ifndef QTIPD_KERNELS_CUDA_HALF_WORDS_CUH_
#define QTIPD_KERNELS_CUDA_HALF_WORDS_CUH_

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace qtipd {

// The lower half of `word` comes first.
__device__ __forceinline__ float2 WidenPair(uint32_t word, bool is_bf16) {
  if (is_bf16) {
    return make_float2(__uint_as_float(word << 16), __uint_as_float(word & 0xFFFF0000u));
  }
  return __half22float2(*reinterpret_cast<const __half2*>(&word));
}

// Rounds to nearest even; what is too large becomes infinity.
__device__ __forceinline__ uint32_t NarrowPair(float2 pair, bool is_bf16) {
  if (is_bf16) {
    const __nv_bfloat162 narrow = __float22bfloat162_rn(pair);
    return *reinterpret_cast<const uint32_t*>(&narrow);
  }
  const __half2 narrow = __float22half2_rn(pair);
  return *reinterpret_cast<const uint32_t*>(&narrow);
}

// All pairs of some words. The branch lies outside: one for the warp, not one an element.
template <int kWords>
__device__ __forceinline__ void WidenWords(const uint32_t (&words)[kWords], bool is_bf16,
                                           float (&values)[2 * kWords]) {
  const auto widen = [&](bool is_bfloat) {
#pragma unroll
    for (int i = 0; i < kWords; ++i) {
      const float2 pair = WidenPair(words[i], is_bfloat);
      values[2 * i] = pair.x;
      values[2 * i + 1] = pair.y;
    }
  };
  if (is_bf16) {
    widen(true);
  } else {
    widen(false);
  }
}

__device__ __forceinline__ float Widen(uint16_t bits, bool is_bf16) {
  return is_bf16 ? __uint_as_float(uint32_t{bits} << 16) : __half2float(__ushort_as_half(bits));
}

__device__ __forceinline__ uint16_t Narrow(float value, bool is_bf16) {
  return is_bf16 ? __bfloat16_as_ushort(__float2bfloat16_rn(value))
                 : __half_as_ushort(__float2half_rn(value));
}

// Calls body(narrow), where narrow(float) gives the 16 bits: one branch around all that a thread
// writes, in place of both conversions of each.
template <typename Body>
__device__ __forceinline__ void WithNarrowing(bool is_bf16, const Body& body) {
  if (is_bf16) {
    body([](float value) { return Narrow(value, true); });
  } else {
    body([](float value) { return Narrow(value, false); });
  }
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_HALF_WORDS_CUH_
