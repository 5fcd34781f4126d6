// Look-up of fp16 pairs by 16-bit hash, the operation that decides the speed of codes with a table:
// with `vpermi2b` (AVX-512 VBMI) 128 entries of a byte plane are looked up for 64 hashes at once,
// which Highway 1.0 does not offer. The portable twin gives the same bits.
#ifndef QTIPD_KERNELS_CPU_SIMD_PAIR_LOOKUP_H_
#define QTIPD_KERNELS_CPU_SIMD_PAIR_LOOKUP_H_

#include <cstdint>
#include <span>

namespace qtipd {

inline constexpr int kPairEntries = 512;
inline constexpr int kPairTileHashes = 128;

// 512 pairs; a hash h picks entry (h >> 6) & 511 and, with bit 15, negates the first of the pair.
struct PairTable {
  // Both weights by h >> 6, the sign applied, in fp32: exact.
  alignas(64) float pairs[2 * kPairEntries][2];
  // The fp16 pairs without the sign: first low byte, first high, second low, second high.
  alignas(64) uint8_t planes[4][kPairEntries];
};

// `entries` [512][2] fp16 bits.
void FillPairTable(std::span<const uint16_t> entries, PairTable& table);

// Decodes `tiles` 16x16 tiles to fp32.
//   hashes  [tiles][j 4][lane 32], 64-byte aligned
//   block   row-major [16][stride], tile t in columns 16 t to 16 t + 15; the pair of (j, lane) is
//   in
//           row lane / 4 + 8 (j mod 2), columns 2 (lane mod 4) + 8 (j / 2) and the next: the A
//           fragment of mma.m16n8k16. 64-byte aligned, stride a multiple of 16.
using PairLookup = void (*)(const PairTable& table, const uint16_t* hashes, int64_t tiles,
                            float* block, int64_t stride);

void LookupPairsPortable(const PairTable& table, const uint16_t* hashes, int64_t tiles,
                         float* block, int64_t stride);

// The AVX-512 VBMI version, or null where this processor or this build does not have it.
PairLookup VectorPairLookup();

// The fastest of the above.
inline PairLookup BestPairLookup() {
  const PairLookup vector = VectorPairLookup();
  return vector != nullptr ? vector : LookupPairsPortable;
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CPU_SIMD_PAIR_LOOKUP_H_
