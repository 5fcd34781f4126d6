// How the CPU backend keeps a trellis: the same bits as the kernel layout of qtip_layout.h, in an
// order from which 16-bit SIMD lanes form the states.
//
//   [out/16 tile row][in/32 tile-column pair][PairBytes(bits)]
//
// A lane's chunk of 8 * bits bits is cut into its first 16 bits (`high`) and the rest (`low`). A
// pair of tiles holds
//   bits 2   high of tile 0 [32 u16], high of tile 1
//   bits 3   high of tile 0, high of tile 1 [32 u16 each], low of tile 0, low of tile 1 [32 u8
//   each] bits 4   high of tile 0, high of tile 1, low of tile 0, low of tile 1 [32 u16 each]
// 128, 192 or 256 bytes: every plane is 32 or 64 bytes, and a thread reads one linear stream.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_LAYOUT_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_LAYOUT_H_

#include <cstdint>
#include <span>

#include "kernels/api/weight_format.h"
#include "kernels/formats/qtip/qtip_layout.h"

namespace qtipd {

constexpr int64_t QtipCpuPairBytes(int bits) { return 2 * QtipTileBytes(bits); }
constexpr int64_t QtipCpuRowBytes(int64_t in_features, int bits) {
  return in_features / (2 * kQtipTileCols) * QtipCpuPairBytes(bits);
}

// A kernel may read this far past the last byte that it uses.
inline constexpr int64_t kQtipCpuPadding = 64;

// Rewrites a kernel-layout trellis [QtipTrellisWords(shape, bits)] to `packed`
// [out/16 * QtipCpuRowBytes].
void QtipCpuRepack(std::span<const uint16_t> trellis, int bits, Shape shape, uint8_t* packed);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_LAYOUT_H_
