// Conversions between a tile's trellis states and its two packed forms (README.md, "Byte layout").
//
//   states  128 per tile, one a step; a legal path has consistent overlapping bits
//   plain   16 * bits words per tile, tiles row-major; bit 0 of the circular string is the most
//           significant bit of word 0. What checkpoints without a kernel store.
//   kernel  the order of qtip_layout.h. What `trellis` holds in every layer that this format takes.
//
// All are thread-safe for distinct outputs. Source: QTIP (arXiv 2406.11235) and its checkpoints.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_PACKING_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_PACKING_H_

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/api/weight_format.h"
#include "kernels/formats/qtip/qtip_layout.h"

namespace qtipd {

// The states of one tile from its plain words [16 * bits].
void QtipStatesFromPlain(std::span<const uint16_t> words, int bits,
                         std::span<uint16_t, kQtipSteps> states);

// The plain words of one tile [16 * bits] from its states: the top 2 * bits bits of each. The rest
// of a state repeats its successors' bits and is not looked at.
void QtipPlainFromStates(std::span<const uint16_t, kQtipSteps> states, int bits,
                         std::span<uint16_t> words);

// Writes and reads one tile of a kernel-layout trellis of a matrix of `shape`.
//   trellis  QtipTrellisWords(shape, bits) words
void QtipPackTile(std::span<const uint16_t, kQtipSteps> states, int bits, Shape shape,
                  int64_t tile_row, int64_t tile_col, std::span<uint16_t> trellis);
void QtipUnpackTile(std::span<const uint16_t> trellis, int bits, Shape shape, int64_t tile_row,
                    int64_t tile_col, std::span<uint16_t, kQtipSteps> states);

// A whole matrix; both sides hold QtipTrellisWords(shape, bits) words.
std::vector<uint16_t> QtipKernelFromPlain(std::span<const uint16_t> plain, int bits, Shape shape);
std::vector<uint16_t> QtipPlainFromKernel(std::span<const uint16_t> kernel, int bits, Shape shape);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_PACKING_H_
