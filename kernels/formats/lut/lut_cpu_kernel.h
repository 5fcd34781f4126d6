// The inner loops of format "lut" on the CPU: decode, and fused decode and multiply, each compiled
// for several instruction sets and chosen at run time.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_KERNEL_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_KERNEL_H_

#include <cstdint>

#include "kernels/formats/lut/lut_cpu_layout.h"

namespace qtipd {

inline constexpr int64_t kLutCpuMaxBatch = 64;

// Groups [begin, end) of a layer.
struct LutCpuRows {
  const LutCpuLayout* layout = nullptr;
  const uint8_t* packed = nullptr;  // of group 0
  const uint8_t* table = nullptr;   // of the one codebook; unused where outputs have their own
  int64_t begin = 0;
  int64_t end = 0;
};

// z[b, row] = sum over columns of w[row, col] u[b, col] for the rows of the groups, fp32
// throughout.
//   u  [batch, layout.padded_cols], zeros beyond in_features
//   z  [batch, out_features], other rows untouched
// batch is 1 to kLutCpuMaxBatch. Thread-safe for distinct groups. Sums are in an order that depends
// on the instruction set and on whether the batch is 1 only.
void LutCpuMultiply(const LutCpuRows& rows, const float* u, int64_t batch, float* z);

// Decodes the rows of the groups into w [out_features, in_features].
void LutCpuDecode(const LutCpuRows& rows, float* w);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_KERNEL_H_
