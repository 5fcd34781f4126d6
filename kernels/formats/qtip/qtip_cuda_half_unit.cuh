// Half a unit at a time, of which every row slot of the matrix instruction is one row of one tile:
// for kernels in which every column of B is another activation vector.
//
// Lane (g, q) of a warp takes row pair g of tile 4 s + q, s the half: words of unit lane (s, g >>
// 1, q), the first or second half of them by g's low bit.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_HALF_UNIT_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_HALF_UNIT_CUH_

#include "kernels/formats/qtip/qtip_cuda_fused_common.cuh"

namespace qtipd {

// A lane's 16 steps of half a unit.
template <int kBits>
struct HalfWords {
  uint32_t word[kBits];
};

// Where a lane's words of half 0 of a unit begin; those of half 1 lie 16 unit lanes further.
template <int kBits>
__device__ __forceinline__ void LoadHalfIf(HalfWords<kBits>& words, const char* unit, int half,
                                           int lane, bool condition) {
  const int owner = half * 16 + (lane >> 3) * 4 + (lane & 3);
  const bool is_second = (lane & 4) != 0;
  uint32_t(&w)[kBits] = words.word;
  if constexpr (kBits == 1) {
    ptx::LoadStreaming32If(w[0], unit + owner * 8 + (is_second ? 4 : 0), condition);
  } else if constexpr (kBits == 2) {
    uint2 a = make_uint2(w[0], w[1]);
    ptx::LoadStreaming64If(a, unit + owner * 16 + (is_second ? 8 : 0), condition);
    words = {{a.x, a.y}};
  } else if constexpr (kBits == 4) {
    uint4 a = make_uint4(w[0], w[1], w[2], w[3]);
    ptx::LoadStreaming128If(a, unit + owner * 16 + (is_second ? 512 : 0), condition);
    words = {{a.x, a.y, a.z, a.w}};
  } else {
    // Words 0, 1 and 2, or 3, 4 and 5: kept as two that lie side by side and one.
    uint2 two = make_uint2(w[0], w[1]);
    ptx::LoadStreaming64If(two, unit + (is_second ? 512 + owner * 8 : owner * 16), condition);
    ptx::LoadStreaming32If(w[2], unit + owner * 16 + (is_second ? 12 : 8), condition);
    w[0] = two.x;
    w[1] = two.y;
  }
}

// The words in the order of their bits.
template <int kBits>
__device__ __forceinline__ HalfWords<kBits> InOrder(const HalfWords<kBits>& words, int lane) {
  if constexpr (kBits != 3) {
    return words;
  } else {
    const uint32_t(&w)[3] = words.word;
    const bool is_second = (lane & 4) != 0;
    return {{is_second ? w[2] : w[0], is_second ? w[0] : w[1], is_second ? w[1] : w[2]}};
  }
}

// A lane's words of half a unit in the order of their bits, and the first of the lane that goes on.
template <int kBits>
__device__ __forceinline__ void WindowsOfHalf(const HalfWords<kBits>& half,
                                              uint32_t (&words)[kBits + 1]) {
  const HalfWords<kBits> ordered = InOrder(half, threadIdx.x % 32);
#pragma unroll
  for (int i = 0; i < kBits; ++i) words[i] = ordered.word[i];
  words[kBits] = __shfl_sync(0xFFFFFFFFu, ordered.word[0], (threadIdx.x + 4) % 32);
}

// The A fragment of step `i` of four of half a unit.
template <int kBits, int kReplicas>
__device__ __forceinline__ void DecodeStep(const uint32_t (&words)[kBits + 1], int i,
                                           const DecodeContext<kReplicas>& context,
                                           uint32_t (&pairs)[4]) {
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    pairs[j] = LookUpPair(StateAt(words, PairOffset<kBits>(i, j)), context);
  }
}

// A lane's sums are of rows g kHalfUnitLaneRows and kHalfUnitSecondRow after it: g and g + 8, in
// the plain layout (1 bit) 2 g and 2 g + 1.
template <int kBits>
inline constexpr int kHalfUnitLaneRows = kBits == 1 ? 2 : 1;
template <int kBits>
inline constexpr int kHalfUnitSecondRow = kBits == 1 ? 1 : 8;

// Writes a warp's sums of one row block to partial[column][16 rows], or adds them there.
template <int kBits, int kVectorTiles>
__device__ __forceinline__ void StoreWidePartial(float* partial,
                                                 const float (&sums)[kVectorTiles][4], int lane,
                                                 bool adds) {
  constexpr int kSecond = kHalfUnitSecondRow<kBits>;
  const auto put = [adds](float& to, float value) { to = adds ? to + value : value; };
#pragma unroll
  for (int t = 0; t < kVectorTiles; ++t) {
    float* column =
        partial + (8 * t + 2 * (lane & 3)) * kUnitRows + (lane >> 2) * kHalfUnitLaneRows<kBits>;
    put(column[0], sums[t][0]);
    put(column[kUnitRows], sums[t][1]);
    put(column[kSecond], sums[t][2]);
    put(column[kUnitRows + kSecond], sums[t][3]);
  }
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_HALF_UNIT_CUH_
