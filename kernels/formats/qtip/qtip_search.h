// What the two ways of searching a trellis have in common. qtip_viterbi.cc chooses one:
//   qtip_tile_search    SIMD lanes are tiles; code `hyb`, whose branch metrics are few
//   qtip_state_search   SIMD lanes are states of one tile; every code
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_SEARCH_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_SEARCH_H_

#include <cstdint>
#include <memory>

#include "kernels/formats/qtip/qtip_code.h"

namespace qtipd {

// Searches tiles on one thread with scratch memory of its own.
class QtipSearch {
 public:
  virtual ~QtipSearch() = default;
  // Tiles that one call of EncodeBatch takes.
  virtual int batch_tiles() const = 0;
  // samples [tiles][256], states [tiles][steps], tiles <= batch_tiles().
  virtual void EncodeBatch(int tiles, const float* samples, uint16_t* states) = 0;
  // Tiles that needed fp32 costs so far.
  virtual int64_t wide_tiles() const = 0;
};

// What depends on code and table alone; read by the searches of all threads and outlives them.
class QtipSearchTables {
 public:
  virtual ~QtipSearchTables() = default;
  virtual std::unique_ptr<QtipSearch> MakeSearch() const = 0;
};

// Slot of a boundary's costs in a history: those from `first_kept` on follow two that alternate.
constexpr int QtipHistorySlot(int boundary, int first_kept) {
  return boundary < first_kept ? boundary & 1 : boundary - first_kept + 2;
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_SEARCH_H_
