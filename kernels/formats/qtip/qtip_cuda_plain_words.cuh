// States of the plain layout in device code.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_WORDS_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_WORDS_CUH_

#include "kernels/formats/qtip/qtip_cuda_decode.cuh"

namespace qtipd {

// The state at bit `offset` of the lane's words: 16 bits, which begin at one of the first two bytes
// of the words shifted by offset % 16 rounded down to such a byte. States 8 or 16 bits apart share
// the shift, so that one costs a byte permutation and part of a shift, not a shift and a mask.
template <int kWords>
__device__ __forceinline__ uint32_t PlainStateAt(const uint32_t (&words)[kWords], int offset) {
  const int k = offset / 32;
  const int start = offset % 32;
  const int shift = start == 16 ? 0 : start / 16 * 16 + start % 8;  // byte-aligned from here
  const uint32_t next = words[k + 1 < kWords ? k + 1 : k];
  const uint32_t shifted = shift == 0 ? words[k] : __funnelshift_l(next, words[k], shift);
  switch (start - shift) {
    case 0:
      return __byte_perm(shifted, 0, 0x4432);
    case 8:
      return __byte_perm(shifted, 0, 0x4421);
    default:
      return __byte_perm(shifted, 0, 0x4410);
  }
}

// A lane's words of a unit and the first of the lane that goes on.
template <int kBits>
struct PlainWords {
  uint32_t word[2 * kBits + 1];
  __device__ __forceinline__ explicit PlainWords(const UnitWords<kBits>& unit) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < 2 * kBits; ++i) word[i] = unit.word[i];
    word[2 * kBits] = __shfl_sync(0xFFFFFFFFu, unit.word[0], (lane & 16) | ((lane + 4) & 15));
  }
  // The state of the weight in one of the lane's four rows.
  __device__ __forceinline__ uint32_t State(int row, int column) const {
    return PlainStateAt(word, (16 * row + column) * kBits);
  }
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PLAIN_WORDS_CUH_
