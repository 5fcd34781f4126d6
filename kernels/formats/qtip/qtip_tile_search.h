// Search of 16 tiles at a time, SIMD lanes being tiles, for code `hyb` in kernel layout: its
// states have 1024 different pairs of weights, so a step needs 1024 branch metrics for 65,536
// states.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_TILE_SEARCH_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_TILE_SEARCH_H_

#include <cstdint>
#include <memory>
#include <span>

#include "kernels/formats/qtip/qtip_search.h"

namespace qtipd {

// `bits` 2 to 4; `tlut` [512][2] as fp16 bits.
//
// Costs are 16-bit integers with a saturating sum; at 2 bits the lowest 4 bits say where a cost
// comes from. A saturated sum is a lower bound, so a path whose recomputed cost equals the sum
// found is the best one; a tile for which that fails (outliers) goes through the search of single
// tiles.
std::unique_ptr<QtipSearchTables> MakeQtipTileSearchTables(int bits,
                                                           std::span<const uint16_t> tlut);

// Upper bound of the scratch memory of one search, in bytes.
uint64_t QtipTileSearchBytes(int bits);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_TILE_SEARCH_H_
