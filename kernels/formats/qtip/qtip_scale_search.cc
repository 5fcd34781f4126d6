#include "kernels/formats/qtip/qtip_scale_search.h"

#include <algorithm>
#include <array>
#include <string>

#include "kernels/api/status.h"

namespace qtipd {
namespace {

// Relative distance of the neighbours that are tried.
constexpr double kStep = 0.06;

// By bits, 1 to 4.
using Scales = std::array<double, 4>;

// Measured to about 0.01; within that the error is the same to 0.1 %.
Scales GaussianScales(const QtipCodeSpec& spec) {
  switch (spec.code) {
    case QtipCode::kHyb:
      return {1.13, 0.98, 0.91, 0.83};
    case QtipCode::kLut:
      return {1.14, 1.00, 0.95, 0.95};
    case QtipCode::k1Mad:
    case QtipCode::k2Mad:
    case QtipCode::k3Inst:
    case QtipCode::kQuantLut:
      return {1.14, 0.99, 0.94, 0.90};
  }
  return {};
}

// Where the parabola through three equally spaced points is smallest, within their range.
double Vertex(double middle, double step, double left, double centre, double right) {
  const double bend = left - 2 * centre + right;
  if (bend <= 0) return left < right ? middle - step : middle + step;
  return std::clamp(middle + step * (left - right) / (2 * bend), middle - step, middle + step);
}

}  // namespace

std::optional<double> QtipGivenScale(const Options& options) {
  const OptionValue& value = options.values().at("scale_override");
  if (const auto* scale = std::get_if<double>(&value)) return *scale;
  return std::nullopt;
}

double QtipGaussianScale(const QtipCodeSpec& spec) {
  return GaussianScales(spec)[spec.bits - kQtipMinBits];
}

absl::StatusOr<QtipScaleChoice> ChooseQtipScale(
    const QtipCodeSpec& spec, const std::function<absl::StatusOr<double>(double)>& error_at) {
  QtipScaleChoice choice;
  const auto try_scale = [&](double scale) -> absl::StatusOr<double> {
    const auto tried = std::ranges::find(choice.trials, scale, &ScaleTrial::scale);
    if (tried != choice.trials.end()) return tried->error;
    QTIPD_ASSIGN_OR_RETURN(const double error, error_at(scale));
    choice.trials.push_back({.scale = scale, .error = error});
    return error;
  };
  const double middle = QtipGaussianScale(spec);
  const double step = kStep * middle;
  QTIPD_RETURN_IF_ERROR(try_scale(kQtipFixedScale).status());
  QTIPD_ASSIGN_OR_RETURN(const double left, try_scale(middle - step));
  QTIPD_ASSIGN_OR_RETURN(const double centre, try_scale(middle));
  QTIPD_ASSIGN_OR_RETURN(const double right, try_scale(middle + step));
  QTIPD_RETURN_IF_ERROR(try_scale(Vertex(middle, step, left, centre, right)).status());
  choice.scale = std::ranges::min_element(choice.trials, {}, &ScaleTrial::error)->scale;
  return choice;
}

std::vector<int64_t> QtipSampleStrips(Shape shape) {
  const int64_t all = shape.out_features / kQtipTileRows;
  const int64_t count =
      std::clamp(kQtipSampleWeights / (kQtipTileRows * shape.in_features), int64_t{1}, all);
  std::vector<int64_t> strips(count);
  for (int64_t i = 0; i < count; ++i) strips[i] = (2 * i + 1) * all / (2 * count);
  return strips;
}

}  // namespace qtipd
