// Search of one tile at a time, SIMD lanes being states: for every code, number of bits, weights a
// step and state bits.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_STATE_SEARCH_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_STATE_SEARCH_H_

#include <cstdint>
#include <memory>
#include <span>

#include "kernels/formats/qtip/qtip_search.h"

namespace qtipd {

// `tlut` as MakeQtipTable takes it.
//
// Costs are 16-bit integers in units that the range of the table and the tile's samples allow. Sums
// and differences saturate; both only ever lower a cost, so a path that met no saturation and
// whose recomputed cost equals the sum found is the best one. Where that fails, and where samples
// lie so far out that the units would be coarse, the tile is searched with fp32 costs.
std::unique_ptr<QtipSearchTables> MakeQtipStateSearchTables(const QtipCodeSpec& spec,
                                                            std::span<const uint16_t> tlut);

// Upper bound of the scratch memory of one search, in bytes.
uint64_t QtipStateSearchBytes(const QtipCodeSpec& spec);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_STATE_SEARCH_H_
