// Conversions between a tile's trellis states and its packed forms (README.md, "Byte layout").
//
//   states  spec.steps() per tile, one a step; a legal path has consistent overlapping bits
//   plain   16 * bits words per tile, tiles row-major; bit 0 of the circular string is the most
//           significant bit of word 0. What `trellis` holds for codes without a kernel layout.
//   kernel  the order that `trellis` of code `hyb` has; QtipHasKernelLayout
//
// All are thread-safe for distinct outputs. Source: QTIP (arXiv 2406.11235) and its checkpoints.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_PACKING_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_PACKING_H_

#include <cstdint>
#include <span>

#include "kernels/api/weight_format.h"
#include "kernels/formats/qtip/qtip_code.h"
#include "kernels/formats/qtip/qtip_layout.h"

namespace qtipd {

// The states [spec.steps()] of one tile from its plain words [16 * bits].
void QtipStatesFromPlain(std::span<const uint16_t> words, const QtipCodeSpec& spec,
                         std::span<uint16_t> states);

// The plain words of one tile [16 * bits] from its states: the top step_bits() bits of each. The
// rest of a state repeats its successors' bits and is not looked at.
void QtipPlainFromStates(std::span<const uint16_t> states, const QtipCodeSpec& spec,
                         std::span<uint16_t> words);

// Writes and reads one tile of the trellis of a matrix of `shape`, in the layout of its code.
//   trellis  QtipTrellisWords(shape, bits) words
void QtipPackTile(std::span<const uint16_t> states, const QtipCodeSpec& spec, Shape shape,
                  int64_t tile_row, int64_t tile_col, std::span<uint16_t> trellis);
void QtipUnpackTile(std::span<const uint16_t> trellis, const QtipCodeSpec& spec, Shape shape,
                    int64_t tile_row, int64_t tile_col, std::span<uint16_t> states);

// Which element of a tile is position p of its sequence, in the layout of the code.
constexpr QtipElement QtipElementOf(const QtipCodeSpec& spec, int position) {
  if (QtipHasKernelLayout(spec)) return QtipElementOf(position);
  return {position / kQtipTileCols, position % kQtipTileCols};
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_PACKING_H_
