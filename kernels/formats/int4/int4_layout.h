// Group-wise 4-bit integers: what a layer's numbers mean and where its bits lie. README.md draws
// it.
//
// W_hat[row, col] = scale[group, row] * (code[row, col] - zero[group, row]), group = col /
// group_size; codes are 0 to 15. The tensors of an artefact are those of a GPTQ checkpoint, without
// the zero points where the layer is symmetric (they are all 8):
//   qweight  I32 [in_features / 8, out_features]  code of column 8 k + i: bits 4 i to 4 i + 3 of
//                                                 word [k, row]
//   qzeros   I32 [groups, out_features / 8]       zero point of row 8 k + i: bits 4 i to 4 i + 3 of
//                                                 word [group, k], less Int4Spec::zero_offset
//   scales   F16 or BF16 [groups, out_features]
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_LAYOUT_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_LAYOUT_H_

#include <cstdint>

#include "kernels/api/dtype.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

inline constexpr int64_t kInt4PerWord = 8;
inline constexpr int kInt4MaxCode = 15;
inline constexpr int kInt4SymmetricZero = 8;
// Option group_size of one group a row: all its columns.
inline constexpr int64_t kInt4PerChannel = -1;
inline constexpr int64_t kInt4GroupSizes[] = {32, 64, 128};

struct Int4Spec {
  int64_t group_size = 128;  // columns, always positive
  bool is_symmetric = true;
  DType scale_dtype = DType::kF16;  // F16 or BF16
  // What qzeros hold is this much below the zero point: 1 in checkpoint_format gptq, 0 in gptq_v2.
  int zero_offset = 1;

  int64_t groups(int64_t in_features) const { return in_features / group_size; }
};

// The number at bits 4 i of a word.
constexpr int Int4Nibble(uint32_t word, int64_t i) { return static_cast<int>(word >> 4 * i & 15); }

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_LAYOUT_H_
