#include "kernels/formats/qtip/qtip_cpu_layout.h"

#include <cstring>

namespace qtipd {
namespace {

constexpr int kPlaneBytes = kQtipTileLanes * 2;

// Stores one lane's chunk into its pair of tiles; `slot` is 0 or 1.
void StoreChunk(uint32_t chunk, int bits, int slot, int lane, uint8_t* pair) {
  const auto high = static_cast<uint16_t>(chunk >> (8 * bits - 16));
  std::memcpy(pair + slot * kPlaneBytes + 2 * lane, &high, 2);
  uint8_t* low_planes = pair + 2 * kPlaneBytes;
  if (bits == 3) {
    low_planes[slot * kQtipTileLanes + lane] = static_cast<uint8_t>(chunk);
  } else if (bits == 4) {
    const auto low = static_cast<uint16_t>(chunk);
    std::memcpy(low_planes + slot * kPlaneBytes + 2 * lane, &low, 2);
  }
}

}  // namespace

void QtipCpuRepack(std::span<const uint16_t> trellis, int bits, Shape shape, uint8_t* packed) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(trellis.data());
  const int64_t tile_cols = shape.in_features / kQtipTileCols;
  for (int64_t tile_row = 0; tile_row < shape.out_features / kQtipTileRows; ++tile_row) {
    uint8_t* row = packed + tile_row * QtipCpuRowBytes(shape.in_features, bits);
    for (int64_t tile_col = 0; tile_col < tile_cols; ++tile_col) {
      uint8_t* pair = row + tile_col / 2 * QtipCpuPairBytes(bits);
      for (int lane = 0; lane < kQtipTileLanes; ++lane) {
        const int64_t offset = QtipChunkOffset(bits, tile_cols, tile_row, tile_col, lane);
        StoreChunk(QtipLoadChunk(bytes + offset, bits), bits, static_cast<int>(tile_col % 2), lane,
                   pair);
      }
    }
  }
}

}  // namespace qtipd
