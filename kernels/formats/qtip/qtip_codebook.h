// Code `hyb` (upstream: quantlut_sym): a hash of the 16-bit state picks one of 512 pairs of weights
// and a sign for the first. Host and CUDA kernels decode from this source.
// Source: QTIP (Tseng et al., 2024, arXiv 2406.11235), section 3.2, hybrid lookup-computed code.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CODEBOOK_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CODEBOOK_H_

#include <cstdint>

#include "kernels/api/host_device.h"
#include "kernels/formats/qtip/qtip_layout.h"

namespace qtipd {

// h = s (s + 1). Only the low 16 bits mean anything, and they depend on the low 16 bits of `state`
// alone, so a register with anything above them may be passed. s and 65535 - s hash alike.
// Written as a sum so that a GPU does it in one multiply-add.
QTIPD_HOST_DEVICE constexpr uint32_t QtipHybHash(uint32_t state) { return state * state + state; }

// Row of the lookup table, bits 14..6 of the hash.
QTIPD_HOST_DEVICE constexpr uint32_t QtipHybIndex(uint32_t hash) {
  return (hash >> (16 - kQtipLutBits - 1)) & (kQtipLutEntries - 1);
}

// 0x8000 where the first weight is negated, else 0: bit 15 of the hash, in place for an XOR with an
// fp16. A zero may so become -0.
QTIPD_HOST_DEVICE constexpr uint32_t QtipHybSign(uint32_t hash) { return hash & 0x8000u; }

// The pair of weights of `state` as two fp16 in one word, first (even column) weight in the low
// half. `tlut` holds 512 pairs of fp16 bits: tlut[2 * index + f].
QTIPD_HOST_DEVICE inline uint32_t QtipHybDecode(uint32_t state, const uint16_t* tlut) {
  const uint32_t hash = QtipHybHash(state);
  const uint32_t index = QtipHybIndex(hash);
  const uint32_t pair = tlut[2 * index] | (static_cast<uint32_t>(tlut[2 * index + 1]) << 16);
  return pair ^ QtipHybSign(hash);
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CODEBOOK_H_
