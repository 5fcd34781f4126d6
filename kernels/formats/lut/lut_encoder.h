// The steps of quantizing to format "lut", row by row.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_ENCODER_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_ENCODER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/formats/lut/lut_assign.h"
#include "kernels/formats/lut/lut_spec.h"

namespace qtipd {

// What is minimised is the sum over outputs i and inputs j of
//   importance[j] (weights[i, j] - scale of the block * codebook[index of i, j])^2,
// scales and codebook as they are stored: rounded to 16 bits.
struct LutProblem {
  Shape shape;
  LutSpec spec;
  bool is_uniform = false;  // codebooks of equal steps
  bool is_rms = false;      // scales begin as root mean squares, not as largest values
  int refine_rounds = 0;
  std::span<const float> weights;     // [out_features, in_features]
  std::span<const float> importance;  // [in_features], positive

  std::span<const float> row(int64_t row) const {
    return weights.subspan(row * shape.in_features, shape.in_features);
  }
  int64_t blocks() const { return spec.row_blocks(shape.in_features); }
};

// What quantizing makes, as the tensors store it.
struct LutParts {
  std::vector<uint8_t> indices;    // [out_features, row_bytes]
  std::vector<uint16_t> codebook;  // [codebooks, entries], fp16
  std::vector<uint16_t> scales;    // [out_features, row_blocks]
};

// The scales of a row by the rule that the problem names.
void StartLutScales(const LutProblem& problem, int64_t row, std::span<uint16_t> scales);

// Better scales of a row for a codebook: for every block the best of several, each fitted by least
// squares to the entries that it chooses. The error of no block grows.
void RefineLutScales(const LutProblem& problem, int64_t row, const LutTable& table,
                     std::span<uint16_t> scales);

// Packs the indices of a row, and overwrites the row's weights with their errors, weight less its
// decoded value. Returns the row's part of what is minimised.
double EncodeLutRow(const LutProblem& problem, int64_t row, const LutTable& table,
                    std::span<const uint16_t> scales, uint8_t* packed, std::span<float> errors);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_ENCODER_H_
