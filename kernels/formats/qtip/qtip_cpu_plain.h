// Decodes plain trellises on the CPU: all codes but `hyb` in kernel layout.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_PLAIN_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_PLAIN_H_

#include <cstdint>

#include "kernels/formats/qtip/qtip_code.h"

namespace qtipd {

// How the states of a tile row are cut out of its words: state i is
//   (32 bits gathered by pattern[i] >> shift[i]) & mask
struct QtipPlainWindows {
  alignas(64) uint8_t pattern[kQtipTileCols][4];  // bytes of the row's first 16, a byte each
  alignas(64) uint32_t shift[kQtipTileCols];
  uint32_t mask = 0;
};
QtipPlainWindows MakeQtipPlainWindows(const QtipCodeSpec& spec);

// Whether decoding looks weights up in a table of all states (QtipTable::weights); `1mad` and
// `3inst` are computed.
constexpr bool QtipCpuUsesTable(const QtipCodeSpec& spec) {
  return spec.code != QtipCode::k1Mad && spec.code != QtipCode::k3Inst;
}

// Decodes `tiles` neighbouring tiles of one tile row.
//   words  plain words [tiles][16 * bits]
//   table  [states][V], or null where QtipCpuUsesTable is false
//   block  row-major [16][stride], tile t in columns 16 t to 16 t + 15; 64-byte aligned, stride a
//          multiple of 16
void QtipCpuDecodePlain(const QtipCodeSpec& spec, const QtipPlainWindows& windows,
                        const float* table, const uint16_t* words, int64_t tiles, float* block,
                        int64_t stride);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_PLAIN_H_
