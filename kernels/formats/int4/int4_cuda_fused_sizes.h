// Sizes that the fused kernel and the choice of its configuration agree on.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_FUSED_SIZES_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_FUSED_SIZES_H_

#include <cstdint>

#include "kernels/api/host_device.h"
#include "kernels/formats/int4/int4_cuda_layout.h"

namespace qtipd {

// Warps of a block at most: two column tiles take 72 registers a thread, one takes 64.
QTIPD_HOST_DEVICE constexpr int Int4MostWarps(int tiles) { return tiles == 1 ? 32 : 28; }

inline constexpr int kInt4PieceBytes = 16;  // eight activations
inline constexpr int kInt4UnitPieces = kInt4UnitCols * 2 / kInt4PieceBytes;
// Between the vectors of a slice's activations, so that lanes of neighbouring vectors read
// different banks.
inline constexpr int kInt4VectorPadding = 64;

// Bytes of a vector of a slice's activations.
QTIPD_HOST_DEVICE constexpr int Int4VectorStride(int chunk_units) {
  return chunk_units * kInt4UnitCols * 2 + kInt4VectorPadding;
}

// The `part`-th of parts that have `quotient` each, and one more below `remainder`.
struct Int4Part {
  int first;
  int count;
};
QTIPD_HOST_DEVICE constexpr Int4Part Int4PartOf(int part, int quotient, int remainder) {
  return {part * quotient + (part < remainder ? part : remainder),
          quotient + (part < remainder ? 1 : 0)};
}

// Divides without an instruction for it, which would hold up short kernels: a number below 2^10 by
// one up to 2^10, and one below 2^16 by one up to 2^4. Both exactly.
inline constexpr int kInt4InverseBits = 20;
QTIPD_HOST_DEVICE constexpr uint32_t Int4Inverse(int divisor) {
  return divisor > (1 << 10) ? 0 : ((1U << kInt4InverseBits) + divisor - 1) / divisor;
}
QTIPD_HOST_DEVICE constexpr int Int4Divide(int number, uint32_t inverse) {
  return static_cast<int>(static_cast<uint32_t>(number) * uint64_t{inverse} >> kInt4InverseBits);
}

// Of the barrier of a ring's slot: kRingBarrierBytes of warp_ring.cuh.
inline constexpr int kInt4SlotBarrierBytes = 16;

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_FUSED_SIZES_H_
