// Finds the scale of the trellis input, option scale_override = auto. A larger scale uses the outer
// entries of the table more and leaves less room for the tails; where the error is smallest depends
// on code and rate, and a little on the matrix.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_SCALE_SEARCH_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_SCALE_SEARCH_H_

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/options.h"
#include "kernels/api/weight_format.h"
#include "kernels/formats/qtip/qtip_code.h"

namespace qtipd {

// The word for it, and the scale that published layers have.
inline constexpr std::string_view kQtipAutoScale = "auto";
inline constexpr double kQtipFixedScale = 0.9;

// Weights of the sample of a matrix, about.
inline constexpr int64_t kQtipSampleWeights = int64_t{1} << 18;

// The given scale_override, or nothing where it is to be found.
std::optional<double> QtipGivenScale(const Options& options);

// The best scale for N(0,1), measured with this folder's encoder and default tables at 16 state
// bits (README.md).
double QtipGaussianScale(const QtipCodeSpec& spec);

struct QtipScaleChoice {
  double scale = 0;
  std::vector<ScaleTrial> trials;  // kQtipFixedScale first
};

// Tries a few scales about QtipGaussianScale and returns the one with the smallest error.
// `error_at` quantizes the same sample of the matrix at a scale and returns its relative error; its
// first error status ends the search. Deterministic if `error_at` is.
absl::StatusOr<QtipScaleChoice> ChooseQtipScale(
    const QtipCodeSpec& spec, const std::function<absl::StatusOr<double>(double)>& error_at);

// Rows of 16 weights that the sample of a matrix consists of, evenly spread: about
// kQtipSampleWeights, all of a smaller matrix. A row strip is quantized independently of the
// others, so its error is that which it has within the whole.
std::vector<int64_t> QtipSampleStrips(Shape shape);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_SCALE_SEARCH_H_
