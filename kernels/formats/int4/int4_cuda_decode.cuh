// Codes of a unit as pairs of fp16, and its scales: what the kernels share.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_DECODE_CUH_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_DECODE_CUH_

#include <cuda_fp16.h>

#include <cstdint>

#include "kernels/cuda/ptx/memory.h"
#include "kernels/formats/int4/int4_cuda_layout.h"

namespace qtipd {

__host__ __device__ constexpr int Int4RecordBytes(int scales, bool has_zeros) {
  return kInt4UnitCodeBytes +
         scales * (kInt4ScaleEntryBytes + (has_zeros ? kInt4ZeroEntryBytes : 0));
}

// 1024 in both halves of a word: the lowest ten bits of an fp16 from there on are an integer.
inline constexpr uint32_t kInt4Magic = 0x64006400;
inline constexpr uint32_t kInt4BothHalves = 0x00010001;
// Codes of rows g + 8 are taken from the second four bits: sixteen times too large.
inline constexpr float kInt4SecondRowFactor = 1.0F / 16;

// 1024 + zero in both halves of `row`, 1024 + 16 zero in both of `second`, of rows g and g + 8.
struct Int4Bias {
  uint32_t row = kInt4Magic + kInt4SymmetricZero * kInt4BothHalves;
  uint32_t second = kInt4Magic + 16 * kInt4SymmetricZero * kInt4BothHalves;
};

__device__ __forceinline__ uint32_t Int4Subtract(uint32_t a, uint32_t b) {
  const __half2 difference =
      __hsub2(*reinterpret_cast<const __half2*>(&a), *reinterpret_cast<const __half2*>(&b));
  return *reinterpret_cast<const uint32_t*>(&difference);
}

// The A fragment that a word of codes is: code - zero of rows g in a[0] and a[2], 16 (code - zero)
// of rows g + 8 in a[1] and a[3]. Exact.
__device__ __forceinline__ void Int4Fragment(uint32_t codes, const Int4Bias& bias,
                                             uint32_t (&a)[4]) {
  constexpr uint32_t kFirst = 0x000F000F;
  constexpr uint32_t kSecond = 0x00F000F0;
  const uint32_t upper = codes >> 8;
  a[0] = Int4Subtract(ptx::MaskOr<kFirst>(codes, kInt4Magic), bias.row);
  a[1] = Int4Subtract(ptx::MaskOr<kSecond>(codes, kInt4Magic), bias.second);
  a[2] = Int4Subtract(ptx::MaskOr<kFirst>(upper, kInt4Magic), bias.row);
  a[3] = Int4Subtract(ptx::MaskOr<kSecond>(upper, kInt4Magic), bias.second);
}

// What a lane needs of a unit.
template <int kScales, bool kHasZeros>
struct Int4UnitWords {
  uint32_t codes[8];
  uint32_t scales[kScales];                 // of rows g and g + 8
  uint32_t zeros[kHasZeros ? kScales : 1];  // likewise, a byte each

  __device__ __forceinline__ Int4Bias BiasOf(int entry) const {
    if constexpr (!kHasZeros) return {};
    const uint32_t both = zeros[entry];
    return {(both & 0xFF) * kInt4BothHalves + kInt4Magic,
            (both >> 8) * (16 * kInt4BothHalves) + kInt4Magic};
  }

  // Of rows g and g + 8.
  __device__ __forceinline__ float2 ScaleOf(int entry, bool is_half) const {
    const uint32_t both = scales[entry];
    if (is_half) return __half22float2(*reinterpret_cast<const __half2*>(&both));
    constexpr uint32_t kUpper = 0xFFFF0000;
    return {__uint_as_float(both << 16), __uint_as_float(both & kUpper)};
  }
};

// A lane's words of the unit at `record`, in shared or global memory.
template <int kScales, bool kHasZeros>
__device__ __forceinline__ Int4UnitWords<kScales, kHasZeros> ReadInt4Unit(const char* record,
                                                                          int lane) {
  Int4UnitWords<kScales, kHasZeros> words;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const uint4 four =
        *reinterpret_cast<const uint4*>(record + half * kInt4HalfCodeBytes + lane * kInt4LaneBytes);
    words.codes[4 * half] = four.x;
    words.codes[4 * half + 1] = four.y;
    words.codes[4 * half + 2] = four.z;
    words.codes[4 * half + 3] = four.w;
  }
  const char* scales = record + kInt4UnitCodeBytes + lane / 4 * 4;
  const char* zeros = record + kInt4UnitCodeBytes + kScales * kInt4ScaleEntryBytes + lane / 4 * 2;
#pragma unroll
  for (int entry = 0; entry < kScales; ++entry) {
    words.scales[entry] = *reinterpret_cast<const uint32_t*>(scales + entry * kInt4ScaleEntryBytes);
    if constexpr (kHasZeros) {
      words.zeros[entry] = *reinterpret_cast<const uint16_t*>(zeros + entry * kInt4ZeroEntryBytes);
    }
  }
  return words;
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_DECODE_CUH_
