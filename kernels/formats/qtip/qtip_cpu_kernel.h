// The inner loops of QTIP on the CPU: decode, and fused decode and multiply, each compiled for
// several instruction sets and chosen at run time.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_KERNEL_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_KERNEL_H_

#include <cstdint>

#include "kernels/cpu/simd/pair_lookup.h"
#include "kernels/formats/qtip/qtip_cpu_plain.h"
#include "kernels/formats/qtip/qtip_layout.h"

namespace qtipd {

inline constexpr int64_t kQtipCpuMaxBatch = 64;

// Rows of 16 outputs, [begin, end), of a layer in the order of qtip_cpu_layout.h.
struct QtipCpuRows {
  const uint8_t* packed = nullptr;  // of tile row 0; plain words where there is no kernel layout
  QtipCodeSpec spec;
  const PairTable* pairs = nullptr;           // of a spec with kernel layout
  const QtipPlainWindows* windows = nullptr;  // of a plain one
  const float* table = nullptr;               // of a plain one that uses a table
  int64_t in_features = 0;
  int64_t begin = 0;
  int64_t end = 0;
};

// Activations u [batch, in_features] in the order in which QtipCpuMultiplyRows reads those of
// `spec` on this processor: `u` itself, or `scratch` of as many elements. Once a call, for all
// rows.
const float* QtipCpuArrange(const QtipCodeSpec& spec, const float* u, int64_t batch,
                            int64_t in_features, float* scratch);

// z[b, row] = sum over columns of w[row, col] u[b, col] for the given rows, fp32 throughout; w is
// never in memory beyond a block that fits the first-level cache.
//   u  [batch, in_features], as QtipCpuArrange returns it
//   z  [batch, out_features], other rows untouched
// batch is 1 to kQtipCpuMaxBatch. Thread-safe for distinct rows. Sums are in an order that depends
// on the instruction set only.
void QtipCpuMultiplyRows(const QtipCpuRows& rows, const float* u, int64_t batch,
                         int64_t out_features, float* z);

// Decodes the given rows into w [out_features, in_features].
void QtipCpuDecodeRows(const QtipCpuRows& rows, float* w);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_KERNEL_H_
