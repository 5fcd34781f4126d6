// The sixteen values of one group: scale and zero point from the weights.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_GRID_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_GRID_H_

#include <cmath>
#include <cstdint>
#include <optional>
#include <span>

#include "kernels/formats/int4/int4_layout.h"

namespace qtipd {

// What a grid may be.
struct Int4GridSpec {
  bool is_symmetric = true;
  bool searches_clip = true;
  DType scale_dtype = DType::kF16;
  int least_zero = 1;  // that the checkpoint can hold
};

// value = scale * (code - zero).
struct Int4Grid {
  uint16_t scale_bits = 0;  // in the type of the scales
  float scale = 0;          // what these bits are
  float inverse = 0;        // 1 / scale, 0 for a scale of 0
  int zero = kInt4SymmetricZero;

  // The code nearest to `weight`; of two, the one at an even distance from the zero point.
  int Code(float weight) const {
    constexpr float kMost = 64;  // beyond every code, within an int
    const float steps = std::fmin(std::fmax(weight * inverse, -kMost), kMost);
    const int code = static_cast<int>(std::nearbyint(steps)) + zero;
    return code < 0 ? 0 : code > kInt4MaxCode ? kInt4MaxCode : code;
  }
  float Value(int code) const { return scale * static_cast<float>(code - zero); }
};

// The grid of a group, a multiple of 8 finite weights. Without search, the range is that of the
// weights: a symmetric scale is their greatest magnitude over 7.5, as in GPTQ; an asymmetric grid
// goes from their least to their greatest, 0 included. With search, the range is that times the
// factor, of kInt4ClipFactors, that leaves the least sum of squared errors, of equals the first
// after 1. Nothing where no scale is finite in its type. The same bits on every processor.
// Source: GPTQ (Frantar et al., 2022, arXiv 2210.17323) for the ranges.
std::optional<Int4Grid> ChooseInt4Grid(const Int4GridSpec& spec, std::span<const float> weights);

// Factors from kInt4WidestClip down by kInt4ClipStep: the sixteen levels of least squared error
// for a normal distribution end at 2.7 deviations (Max, "Quantizing for minimum distortion", 1960),
// while the greatest of 32 to 8192 weights lies at 2.1 to 3.9, and much farther with heavy tails.
inline constexpr int kInt4ClipFactors = 40;
inline constexpr float kInt4WidestClip = 1.08F;
inline constexpr float kInt4ClipStep = 0.02F;

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_GRID_H_
