// The bytes of a QTIP layer: constants, sizes and bit positions. Host code and CUDA kernels include
// it; README.md of this folder has the diagram. Source: QTIP (Tseng et al., 2024, arXiv
// 2406.11235).
//
// A 16x16 tile of weights is one sequence of 256 positions, V per trellis step. Its bits are one
// circular string of 256 * bits, most significant first; the state of step t is the L-bit window
// that starts at bit t * V * bits. So every weight is decoded by itself, in any order.
//
// `bits` is the paper's K, the number of stored bits per weight: 1 to 4.
//
// Checkpoints have these bits in two orders:
//   kernel  what checkpoints of code `hyb` have (L 16, V 2, 2 to 4 bits): QtipElementOf,
//           QtipChunkOffset, QtipWindow. Constants without a code in their name are its.
//   plain   what checkpoints of all other codes have: position p is element (p / 16, p mod 16); 16
//           bits words, bit 0 of the string the most significant bit of word 0, tiles row-major
// GPU kernels read a third, made when a layer is loaded: qtip_cuda_layout.h.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_LAYOUT_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_LAYOUT_H_

#include <cstdint>

#include "kernels/api/host_device.h"

namespace qtipd {

inline constexpr int kQtipStateBits = 16;
inline constexpr int kQtipStates = 1 << kQtipStateBits;
inline constexpr int kQtipVectorDim = 2;  // weights per trellis step
inline constexpr int kQtipTileRows = 16;
inline constexpr int kQtipTileCols = 16;
inline constexpr int kQtipTileWeights = kQtipTileRows * kQtipTileCols;
inline constexpr int kQtipSteps = kQtipTileWeights / kQtipVectorDim;  // per tile
inline constexpr int kQtipLutBits = 9;
inline constexpr int kQtipLutEntries = 1 << kQtipLutBits;
inline constexpr int kQtipLutValues = kQtipLutEntries * kQtipVectorDim;
inline constexpr int kQtipMinBits = 1;
inline constexpr int kQtipMaxBits = 4;
inline constexpr int kQtipMinStateBits = 8;  // and kQtipStateBits at most

// A tile is spread over the 32 lanes of a warp: a lane owns 4 consecutive steps, 8 weights.
inline constexpr int kQtipTileLanes = 32;
inline constexpr int kQtipStepsPerLane = kQtipSteps / kQtipTileLanes;

// Both sides of W are multiples of the least of this range, since the packing takes 2x2 groups of
// tiles, and sizes of a Hadamard transform (qtip_hadamard.h).
inline constexpr int64_t kQtipMinFeatures = 32;
inline constexpr int64_t kQtipMaxFeatures = int64_t{1} << 17;

static_assert(kQtipTileWeights == 256 && kQtipSteps == 128, "one tile is one 256-long sequence");
static_assert(kQtipStepsPerLane == 4, "the mma.m16n8k16 A fragment holds four pairs per lane");

// Bits that one step appends to the state.
QTIPD_HOST_DEVICE constexpr int QtipStepBits(int bits) { return bits * kQtipVectorDim; }
// Sizes of one packed tile.
QTIPD_HOST_DEVICE constexpr int QtipTileWords(int bits) { return kQtipTileWeights * bits / 16; }
QTIPD_HOST_DEVICE constexpr int QtipTileBytes(int bits) { return kQtipTileWeights * bits / 8; }
// Size of a 2x2 group of tiles, the unit of the kernel layout: 256, 384 or 512 bytes.
QTIPD_HOST_DEVICE constexpr int QtipGroupBytes(int bits) { return 4 * QtipTileBytes(bits); }
// 16-bit words of the whole trellis tensor.
QTIPD_HOST_DEVICE constexpr int64_t QtipTrellisWords(int64_t out_features, int64_t in_features,
                                                     int bits) {
  return out_features * in_features / 16 * bits;
}

struct QtipElement {
  int row;  // 0..15 within the tile
  int col;  // 0..15 within the tile
};

// Which element of the tile is position p = lane*8 + j*2 + f of its sequence: the order of the A
// fragment of mma.m16n8k16, so that lane l decodes its own operand. Step t = p/2 = 4*lane + j.
QTIPD_HOST_DEVICE constexpr QtipElement QtipElementOf(int position) {
  const int lane = position >> 3;
  const int j = (position >> 1) & 3;
  const int f = position & 1;
  return {(lane >> 2) + 8 * (j & 1), 2 * (lane & 3) + 8 * (j >> 1) + f};
}

// Inverse of QtipElementOf.
QTIPD_HOST_DEVICE constexpr int QtipPositionOf(int row, int col) {
  const int lane = ((row & 7) << 2) + ((col & 7) >> 1);
  const int j = (row >> 3) + 2 * (col >> 3);
  return lane * 8 + j * 2 + (col & 1);
}

// Kernel layout, in memory order:
//   [out/32 tile-row pair][in/32 tile-column pair][lane 32][column parity 2][row parity 2][bits
//   bytes]
// Returns the byte offset of `lane`'s chunk of tile (tile_row, tile_col). The chunk is a
// little-endian integer of `bits` bytes whose most significant bit is the first of the lane's 8 *
// bits bits. The four chunks of a 2x2 group that belong to one lane are adjacent: (row 0, col 0),
// (1, 0), (0, 1), (1, 1); 4 * bits bytes, one vector load.
QTIPD_HOST_DEVICE constexpr int64_t QtipChunkOffset(int bits, int64_t tile_cols, int64_t tile_row,
                                                    int64_t tile_col, int lane) {
  const int64_t group = (tile_row >> 1) * (tile_cols >> 1) + (tile_col >> 1);
  const int64_t slot = (tile_col & 1) * 2 + (tile_row & 1);
  return group * QtipGroupBytes(bits) + (lane * 4 + slot) * bits;
}

// Reads the chunk at `bytes`. Byte-wise, for the host; a kernel loads all four chunks at once.
QTIPD_HOST_DEVICE constexpr uint32_t QtipLoadChunk(const uint8_t* bytes, int bits) {
  uint32_t chunk = 0;
  for (int i = 0; i < bits; ++i) chunk |= static_cast<uint32_t>(bytes[i]) << (8 * i);
  return chunk;
}

// The state of step 4*lane + j, j in 0..3, from the chunk of that lane and the chunk of the next
// one (lane 31's next is lane 0: the string is circular).
QTIPD_HOST_DEVICE constexpr uint32_t QtipWindow(uint32_t own, uint32_t next, int bits, int j) {
  const uint64_t both = (static_cast<uint64_t>(own) << (8 * bits)) | next;
  return static_cast<uint32_t>(both >> (16 * bits - kQtipStateBits - QtipStepBits(bits) * j)) &
         0xFFFFu;
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_LAYOUT_H_
