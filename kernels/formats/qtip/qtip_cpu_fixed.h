// Fused decode and multiply of `hyb` in integers: weights of one or two bytes, activations of two,
// each with one unit for all. Exact but for the rounding to those units: activations always to 16
// bits, a table of weights only where it does not lie on a grid of 8 bits.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_FIXED_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_FIXED_H_

#include <cstdint>
#include <span>

#include "kernels/formats/qtip/qtip_cpu_kernel.h"

namespace qtipd {

// 127 256: of it and its opposite, both bytes are from -127 to 127.
inline constexpr int kQtipLargestFixed = 32512;

// The 512 pairs as integers times `unit`: 8-bit numbers where all lie on such a grid, else 16-bit
// ones of which the largest is kQtipLargestFixed.
struct QtipFixedTable {
  // By weight of the pair, then by byte, the higher first: a number from -127 to 127, plus 128.
  alignas(64) uint8_t bytes[2][2][kQtipLutEntries];
  int bytes_per_weight = 0;  // 1: only bytes[f][0]
  double unit = 0;
};
// `tlut` [512][2] fp16 bits.
void FillQtipFixedTable(std::span<const uint16_t> tlut, QtipFixedTable& table);

// Whether QtipCpuMultiplyFixed is for `spec` on this processor.
bool QtipCpuHasFixedKernel(const QtipCodeSpec& spec);

// One vector of activations in 16 bits. Arrays hold in_features elements each.
struct QtipFixedActivations {
  int8_t* bytes = nullptr;  // [2 * in_features], in the order of the kernel
  double unit = 0;
  int64_t sums[2] = {};  // of the higher bytes, of the lower ones
};
// Rounds u [in_features], a multiple of 16, to multiples of its largest magnitude over
// kQtipLargestFixed.
void QtipCpuRoundActivations(const float* u, int64_t in_features, QtipFixedActivations& rounded);

// As QtipCpuMultiplyRows for one vector after the other.
void QtipCpuMultiplyFixed(const QtipCpuRows& rows, const QtipFixedTable& table,
                          std::span<const QtipFixedActivations> activations, int64_t out_features,
                          float* z);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_FIXED_H_
