// The nearest entries of a codebook to many weights, compiled for several instruction sets. Every
// result is the same on all of them.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_ASSIGN_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_ASSIGN_H_

#include <cstdint>
#include <span>

#include "kernels/formats/lut/lut_spec.h"

namespace qtipd {

// A codebook made ready for searching.
struct LutTable {
  // `codebook` ascending, 2 to kLutMaxEntries entries, a power of two.
  explicit LutTable(std::span<const float> codebook);

  int entries = 0;
  alignas(64) float values[kLutMaxEntries] = {};
  // Half-way between neighbours; unused ones are infinite.
  alignas(64) float thresholds[kLutMaxEntries] = {};
};

// indices[i] = that of the entry nearest to weights[i] * factor. Of two equally near ones the
// lower.
void FindLutIndices(const LutTable& table, std::span<const float> weights, float factor,
                    uint8_t* indices);

// values[i] = that entry.
void FindLutValues(const LutTable& table, std::span<const float> weights, float factor,
                   float* values);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_ASSIGN_H_
