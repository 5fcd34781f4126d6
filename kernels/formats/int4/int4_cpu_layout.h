// The order in which the CPU's kernels read a layer.
//
// Rows go by eight. A block of eight rows lies in one piece, read from its begin to its end:
//   codes    [blocks of 128 columns][8 rows][16 words]  code of column 16 j + l of the 128: bits
//                                                       4 j to 4 j + 3 of word l
//   scales   [groups][8 rows]                           16 bits each
//   zeros    [groups][8 rows]                           a byte each, where there are any
// So a vector of words, shifted right by 4 j, is indexed by neighbouring columns, and activations
// are loaded as they lie. Columns beyond the last one have code 0; a piece ends on a multiple of 64
// bytes.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_CPU_LAYOUT_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_CPU_LAYOUT_H_

#include <cstdint>

#include "kernels/cpu/thread_pool.h"
#include "kernels/formats/int4/int4_layer.h"

namespace qtipd {

inline constexpr int64_t kInt4BlockRows = 8;
inline constexpr int64_t kInt4BlockCols = 128;
inline constexpr int64_t kInt4RowBytes = kInt4BlockCols / 2;  // of a row in a block of columns
inline constexpr int64_t kInt4CodeBytes = kInt4BlockRows * kInt4RowBytes;  // of such a block

// Where things lie in the piece of a block of rows.
struct Int4CpuLayout {
  Int4CpuLayout(Shape shape, const Int4Spec& spec);

  int64_t in_features = 0;
  int64_t col_blocks = 0;
  int64_t groups = 0;
  int64_t group_size = 0;
  bool has_zeros = false;
  bool is_half = true;  // scales are fp16, not bf16
  int64_t scales_at = 0;
  int64_t zeros_at = 0;
  int64_t row_block_bytes = 0;
};

// Writes out_features / 8 pieces to `packed`, aligned to 64 bytes.
void Int4CpuRepack(ThreadPool& pool, const Int4Layer& layer, const Int4CpuLayout& layout,
                   uint8_t* packed);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_CPU_LAYOUT_H_
