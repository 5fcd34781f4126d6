// How the CUDA kernels hold a QTIP layer: the same bits as the checkpoint's trellis in another
// order, made once at load.
//
// Unit: 16 rows x 128 columns of W, 8 tiles side by side, 256 * bits bytes. Lane l = (s, g, q) with
// s = l >> 4, g = (l >> 2) & 3, q = l & 3 owns tile 4 s + q of the unit and its steps 32 g ... 32 g
// + 31, that is rows 2 g, 2 g + 1, 2 g + 8 and 2 g + 9 of the tile: 8 * bits consecutive bytes of
// the tile's bit string, as 2 * bits words whose most significant bit comes first. A lane therefore
// needs one word of one other lane for 32 steps, and each row slot of mma.m16n8k16 carries one of
// two column segments s, which leaves matrix columns free for four activations.
//
//   bytes 0   .. 511  words 0..3 of lane l at 16 l; bits 1: words 0, 1 at 8 l
//   bytes 512 ..      bits 3: words 4, 5 at 8 l;  bits 4: words 4..7 at 16 l
//
// Codes in the plain layout have units too. There lane (s, g, q) owns positions 64 g ... 64 g + 63
// of its tile's sequence, 8 * bits consecutive bytes as well: rows 4 g to 4 g + 3 of the tile.
//
//   a plain tile    |<-- 16 columns -->|      a row slot of the matrix instruction is one row of
//   row 0  ..  3    lane g = 0                the tiles 4 s + q of four lanes: 64 columns of W
//   row 4  ..  7    lane g = 1
//   row 8  .. 11    lane g = 2                the window of a lane's last weight ends in the first
//   row 12 .. 15    lane g = 3                word of the lane with g + 1 mod 4
//
// Units are row-major: [out_features / 16][units per row]. The last unit of a row is padded with
// zero bits where in_features is no multiple of 128, and the activations with zeros.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LAYOUT_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LAYOUT_H_

#include <cstddef>
#include <cstdint>

#include "kernels/api/host_device.h"
#include "kernels/formats/qtip/qtip_layout.h"

namespace qtipd {

inline constexpr int kUnitRows = 16;
inline constexpr int kUnitCols = 128;
inline constexpr int kUnitTiles = kUnitCols / kQtipTileCols;
inline constexpr int kUnitPairs = 32;  // per lane

static_assert(kUnitTiles * kQtipSteps == 32 * kUnitPairs, "a warp decodes a unit");

QTIPD_HOST_DEVICE constexpr int UnitBytes(int bits) { return kUnitRows * kUnitCols * bits / 8; }
QTIPD_HOST_DEVICE constexpr int64_t UnitsPerRow(int64_t in_features) {
  return (in_features + kUnitCols - 1) / kUnitCols;
}
QTIPD_HOST_DEVICE constexpr int64_t UnitLayerBytes(int64_t out_features, int64_t in_features,
                                                   int bits) {
  return out_features / kUnitRows * UnitsPerRow(in_features) * UnitBytes(bits);
}

// Byte offset of word `word` of lane `lane` within its unit.
QTIPD_HOST_DEVICE constexpr int UnitWordOffset(int bits, int lane, int word) {
  if (bits == 1) return lane * 8 + word * 4;
  if (word < 4) return lane * 16 + word * 4;
  return 512 + lane * (bits == 3 ? 8 : 16) + (word - 4) * 4;
}

// The lookup table with the hash's sign bit folded into the index, entry bits 15..6 of the hash, in
// replicas: 32, one a bank, are 128 KiB without conflicts; 16 are 64 KiB for devices whose blocks
// get no more than 100 KB (8.6, 8.9, 12.0).
inline constexpr int kFoldedEntries = 2 * kQtipLutEntries;
inline constexpr int kMostReplicas = 32;
inline constexpr int kFewReplicas = 16;
QTIPD_HOST_DEVICE constexpr int FoldedBytes(int replicas) { return kFoldedEntries * replicas * 4; }

// What a block needs beside the table, at most, in kernels that take what is left for sums.
inline constexpr int kLeastBytesBesideTable = 16 * 1024;

// As many replicas as blocks of at most `shared_bytes` have room for.
QTIPD_HOST_DEVICE constexpr int ReplicasFor(size_t shared_bytes) {
  const size_t needed = FoldedBytes(kMostReplicas) + kLeastBytesBesideTable;
  return shared_bytes >= needed ? kMostReplicas : kFewReplicas;
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LAYOUT_H_
