// Errors are summed in eight partial sums whatever the width of a vector, so that every instruction
// set chooses the same grid; this file is compiled without contraction for the same reason.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/formats/int4/int4_grid.cc"
#include "kernels/formats/int4/int4_grid.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "hwy/foreach_target.h"  // must precede highway.h
#include "hwy/highway.h"

#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_GRID_SUMS
#define QTIPD_KERNELS_FORMATS_INT4_INT4_GRID_SUMS
namespace qtipd {
namespace {
constexpr int kInt4Sums = 8;
}  // namespace
}  // namespace qtipd
#endif

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// sums[i] = the squared errors of weights i, i + 8, ... on the grid.
void SquaredErrors(const Int4Grid& grid, const float* weights, int64_t count, float* sums) {
  const hn::CappedTag<float, kInt4Sums> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto inverse = hn::Set(d, grid.inverse);
  const auto scale = hn::Set(d, grid.scale);
  const auto least = hn::Set(d, static_cast<float>(-grid.zero));
  const auto most = hn::Set(d, static_cast<float>(kInt4MaxCode - grid.zero));
  for (int64_t part = 0; part < kInt4Sums; part += lanes) {
    auto sum = hn::Zero(d);
    for (int64_t i = part; i < count; i += kInt4Sums) {
      const auto weight = hn::LoadU(d, weights + i);
      const auto steps = hn::Round(hn::Mul(weight, inverse));
      const auto value = hn::Mul(hn::Min(hn::Max(steps, least), most), scale);
      const auto error = hn::Sub(value, weight);
      sum = hn::Add(sum, hn::Mul(error, error));
    }
    hn::StoreU(sum, d, sums + part);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qtipd {

HWY_EXPORT(SquaredErrors);

namespace {

struct Range {
  float least = 0;  // at most 0
  float most = 0;   // at least 0
};

Range RangeOf(std::span<const float> weights) {
  Range range;
  for (const float weight : weights) {
    range.least = std::min(range.least, weight);
    range.most = std::max(range.most, weight);
  }
  return range;
}

Int4Grid GridOfScale(const Int4GridSpec& spec, float scale) {
  Int4Grid grid;
  const bool is_half = spec.scale_dtype == DType::kF16;
  grid.scale_bits = is_half ? FloatToHalf(scale) : FloatToBfloat16(scale);
  grid.scale = is_half ? HalfToFloat(grid.scale_bits) : Bfloat16ToFloat(grid.scale_bits);
  grid.inverse = grid.scale > 0 ? 1 / grid.scale : 0;
  return grid;
}

Int4Grid GridOf(const Int4GridSpec& spec, const Range& range, float factor) {
  if (spec.is_symmetric) {
    return GridOfScale(spec, std::max(-range.least, range.most) * factor / 7.5F);
  }
  Int4Grid grid = GridOfScale(spec, (range.most - range.least) * factor / kInt4MaxCode);
  const float zero = std::nearbyint(-range.least * factor * grid.inverse);
  grid.zero = static_cast<int>(
      std::clamp(zero, static_cast<float>(spec.least_zero), static_cast<float>(kInt4MaxCode)));
  return grid;
}

// Sixteen steps of it are a number of fp32; the inverse of a smaller one need not be.
bool IsUsable(const Int4Grid& grid) { return grid.scale <= 0x1p123F; }

float SquaredError(const Int4Grid& grid, std::span<const float> weights) {
  std::array<float, kInt4Sums> sums;
  HWY_DYNAMIC_DISPATCH(SquaredErrors)
  (grid, weights.data(), static_cast<int64_t>(weights.size()), sums.data());
  float sum = 0;
  for (const float one : sums) sum += one;
  return sum;
}

}  // namespace

std::optional<Int4Grid> ChooseInt4Grid(const Int4GridSpec& spec, std::span<const float> weights) {
  const Range range = RangeOf(weights);
  std::optional<Int4Grid> best;
  float least = 0;
  const auto consider = [&](float factor) {
    const Int4Grid grid = GridOf(spec, range, factor);
    if (!IsUsable(grid)) return;
    const float error = spec.searches_clip ? SquaredError(grid, weights) : 0;
    if (best && !(error < least)) return;
    best = grid;
    least = error;
  };
  consider(1);
  if (!spec.searches_clip || !best) return best;
  for (int i = 0; i < kInt4ClipFactors; ++i) {
    consider(kInt4WidestClip - kInt4ClipStep * static_cast<float>(i));
  }
  return best;
}

}  // namespace qtipd
#endif  // HWY_ONCE
