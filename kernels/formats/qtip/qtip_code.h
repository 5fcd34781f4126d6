// The codes of QTIP: how a trellis state becomes weights. Small functions that host code and CUDA
// kernels share; code `hyb` is in qtip_codebook.h.
//
//   code      V     weights of a state                                    table `tlut`
//   hyb       2     hash, table look-up, sign of the first                [512, 2]
//   1mad      1     multiply-add, sum of the four bytes                   none
//   2mad      1     two multiply-adds, sum of the four bytes              none
//   3inst     1     multiply-add, mask, sum of two fp16                   none
//   lut       1, 2  the state is the index                                [2^L, V]
//   quantlut  1     hash, table look-up                                   [2^Q], Q from 1 to 15
//
// Source: QTIP (Tseng et al., 2024, arXiv 2406.11235), section 3 and algorithms 1 and 2; `2mad` and
// `quantlut` are in its published implementation (Cornell-RelaxML/qtip) alone.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CODE_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CODE_H_

#include <cstdint>

#include "kernels/api/host_device.h"
#include "kernels/formats/qtip/qtip_codebook.h"
#include "kernels/formats/qtip/qtip_layout.h"

namespace qtipd {

enum class QtipCode : uint8_t { kHyb, k1Mad, k2Mad, k3Inst, kLut, kQuantLut };

// One code at one rate: all that decoding needs beside the table's values.
struct QtipCodeSpec {
  QtipCode code = QtipCode::kHyb;
  int bits = 2;         // K: stored bits a weight, 1 to 4
  int state_bits = 16;  // L: window of the trellis, 8 to 16 and at least step_bits()
  int vector_dim = 2;   // V: weights a step
  int table_bits = 9;   // log2 of the rows of `tlut`; 0 where the code has none

  // Bits that one step appends to the state, and steps of a tile.
  QTIPD_HOST_DEVICE constexpr int step_bits() const { return bits * vector_dim; }
  QTIPD_HOST_DEVICE constexpr int steps() const { return kQtipTileWeights / vector_dim; }
  QTIPD_HOST_DEVICE constexpr int states() const { return 1 << state_bits; }
  // Values of `tlut`, 0 without one.
  QTIPD_HOST_DEVICE constexpr int table_values() const {
    return table_bits == 0 ? 0 : vector_dim << table_bits;
  }

  friend bool operator==(const QtipCodeSpec&, const QtipCodeSpec&) = default;
};

// Whether checkpoints keep the trellis of `spec` in the kernel layout of qtip_layout.h; all others
// are plain.
QTIPD_HOST_DEVICE constexpr bool QtipHasKernelLayout(const QtipCodeSpec& spec) {
  return spec.code == QtipCode::kHyb && spec.state_bits == kQtipStateBits && spec.bits >= 2 &&
         spec.bits <= 4;
}

// 1mad and 2mad: (y - kQtipMadMean) / kQtipMadDivisor with y = QtipSumOfBytes(...) has mean 0 and
// rms 1 to a part in a thousand. y - kQtipMadMean is exact in fp16 too.
inline constexpr int kQtipMadMean = 510;
inline constexpr float kQtipMadDivisor = 147.800537109375f;

QTIPD_HOST_DEVICE constexpr uint32_t Qtip1MadHash(uint32_t state) {
  return 34038481u * state + 76625530u;
}

QTIPD_HOST_DEVICE constexpr uint32_t Qtip2MadHash(uint32_t state) {
  const uint32_t x = 264435761u * state + 1013904223u;
  return x + static_cast<uint32_t>((uint64_t{1664525} * x) >> 32);
}

// The sum of the four bytes of `x`, 0 to 1020.
QTIPD_HOST_DEVICE constexpr uint32_t QtipSumOfBytes(uint32_t x) {
  const uint32_t pairs = (x & 0x00FF00FFu) + ((x >> 8) & 0x00FF00FFu);
  return (pairs & 0xFFFFu) + (pairs >> 16);
}

// The weight of a hash of 1mad or 2mad, rounded to fp32.
QTIPD_HOST_DEVICE constexpr float QtipMadWeight(uint32_t hash) {
  return static_cast<float>(static_cast<int>(QtipSumOfBytes(hash)) - kQtipMadMean) /
         kQtipMadDivisor;
}

// Two fp16 in one word, each of magnitude 2^-3 to 2: the weight is their sum, rounded to fp16.
inline constexpr uint32_t kQtip3InstMask = 0x8FFF8FFFu;
inline constexpr uint32_t kQtip3InstFlip = 0x3B603B60u;
QTIPD_HOST_DEVICE constexpr uint32_t Qtip3InstHash(uint32_t state) {
  return 89226354u * state + 64248484u;
}
QTIPD_HOST_DEVICE constexpr uint32_t Qtip3InstHalves(uint32_t state) {
  return (Qtip3InstHash(state) & kQtip3InstMask) ^ kQtip3InstFlip;
}

// Row of quantlut's table of 2^table_bits values.
QTIPD_HOST_DEVICE constexpr uint32_t QtipQuantLutIndex(uint32_t state, int table_bits) {
  return (QtipHybHash(state) >> (16 - table_bits)) & ((1u << table_bits) - 1);
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CODE_H_
