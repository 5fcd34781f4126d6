// The order in which the CUDA kernels read a layer; README.md draws it.
//
// Units of 16 rows and 128 columns lie one behind the other along a row block, row block by row
// block. A unit is one record, which a warp copies in one piece:
//   codes   [2][32 lanes][4 words]        see below
//   scales  [scales_per_unit][8][2]       16 bits each: rows g and g + 8 of entry g
//   zeros   [scales_per_unit][8][2]       a byte each, where there are any; in the same order
// Lane 4 g + t holds codes of rows g and g + 8. Word j of its eight (words 4 to 7 in the second
// half of the codes) is of columns 16 j to 16 j + 15 of A fragments, whose lane t has the natural
// columns 32 (j / 2) + 8 t + 4 (j % 2) + 0 to 3, from the lowest bits on:
//   row g column 0, row g + 8 column 0, row g column 2, row g + 8 column 2,
//   row g column 1, row g + 8 column 1, row g column 3, row g + 8 column 3
// so that four masks, one shift and an exponent make four pairs of fp16 of them. Rows and columns
// that do not exist have code 0 and scale 0.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_LAYOUT_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_LAYOUT_H_

#include <cstdint>

#include "kernels/cpu/thread_pool.h"
#include "kernels/formats/int4/int4_layer.h"

namespace qtipd {

inline constexpr int kInt4UnitRows = 16;
inline constexpr int kInt4UnitCols = 128;
inline constexpr int kInt4UnitCodeBytes = kInt4UnitRows * kInt4UnitCols / 2;
inline constexpr int kInt4LaneBytes = 16;  // that a lane reads of a unit's codes at once
inline constexpr int kInt4HalfCodeBytes = 32 * kInt4LaneBytes;
// Entries of a scale, one for each pair of rows: 8 pairs.
inline constexpr int kInt4RowPairs = kInt4UnitRows / 2;
inline constexpr int kInt4ScaleEntryBytes = kInt4RowPairs * 4;
inline constexpr int kInt4ZeroEntryBytes = kInt4RowPairs * 2;
static_assert(kInt4UnitCodeBytes == 2 * kInt4HalfCodeBytes, "two reads of 16 bytes a lane");

// How units of a layer are made.
struct Int4CudaLayout {
  Int4CudaLayout() = default;
  Int4CudaLayout(Shape shape, const Int4Spec& spec);

  int64_t row_blocks = 0;
  int64_t units = 0;  // of a row block
  // Groups of 32, 64 and 128 columns have 4, 2 and 1. A row that is one group has its scale in
  // every unit.
  int scales_per_unit = 0;
  bool has_zeros = false;
  bool is_half = true;  // scales are fp16, not bf16

  int record_bytes() const {
    return kInt4UnitCodeBytes +
           scales_per_unit * (kInt4ScaleEntryBytes + (has_zeros ? kInt4ZeroEntryBytes : 0));
  }
  // Of a layer.
  int64_t bytes() const { return row_blocks * units * record_bytes(); }
  // Of a layer, without what fills up units.
  uint64_t read_bytes(Shape shape) const;
};

// Writes layout.bytes() to `packed`. Blocks.
void Int4CudaRepack(ThreadPool& pool, const Int4Layer& layer, const Int4CudaLayout& layout,
                    uint8_t* packed);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_LAYOUT_H_
