// The inner loops of int4 on the CPU: decode, and fused decode and multiply, each compiled for
// several instruction sets and chosen at run time.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_CPU_KERNEL_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_CPU_KERNEL_H_

#include <cstdint>

#include "kernels/formats/int4/int4_cpu_layout.h"

namespace qtipd {

inline constexpr int64_t kInt4CpuMaxBatch = 64;
// Rows of activations are read to a multiple of so many columns; those beyond in_features are 0.
inline constexpr int64_t kInt4CpuColsAtOnce = 16;

// Blocks of eight rows, [begin, end), of a layer in the order of int4_cpu_layout.h.
struct Int4CpuRows {
  const uint8_t* packed = nullptr;  // of block 0
  const Int4CpuLayout* layout = nullptr;
  int64_t begin = 0;
  int64_t end = 0;
};

// z[b, row] = sum over columns of w[row, col] x[b, col] for the given rows, fp32 throughout.
//   x  [batch, x_stride], zero from in_features on up to a multiple of kInt4CpuColsAtOnce
//   z  [batch, out_features], other rows untouched
// batch is 1 to kInt4CpuMaxBatch. Thread-safe for distinct rows. Sums are in an order that depends
// on the instruction set and the batch only.
void Int4CpuMultiplyRows(const Int4CpuRows& rows, const float* x, int64_t x_stride, int64_t batch,
                         int64_t out_features, float* z);

// Decodes the given rows into w [out_features, in_features]; exact.
void Int4CpuDecodeRows(const Int4CpuRows& rows, float* w);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_CPU_KERNEL_H_
