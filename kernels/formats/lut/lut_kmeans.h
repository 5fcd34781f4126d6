// Weighted k-means of numbers: optimal by dynamic programming, and improved by Lloyd's steps.
//
// Sources: optimal k-means in one dimension by dynamic programming, Wang and Song, "Ckmeans.1d.dp",
// R Journal 3/2 (2011), https://doi.org/10.32614/RJ-2011-015; monotone choices searched by halves,
// Gronlund et al., "Fast exact k-means, k-medians and Bregman divergence clustering in 1D" (2017),
// arXiv 1701.07204; levels by the cube root of the density, Panter and Dite, Proc. IRE 39 (1951).
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_KMEANS_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_KMEANS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

// Distinct numbers in ascending order, each with a positive weight, and running sums over them.
class LutPoints {
 public:
  // `values` ascending; equal ones are joined, those without weight left out.
  LutPoints(std::span<const double> values, std::span<const double> weights);

  int64_t size() const { return static_cast<int64_t>(values_.size()); }
  double value(int64_t i) const { return values_[i]; }
  double weight(int64_t i) const { return weight_sums_[i + 1] - weight_sums_[i]; }

  // Of points [begin, end): the weighted mean (0 of none), and the weighted sum of squared
  // distances from it, or from `centre`.
  double Mean(int64_t begin, int64_t end) const;
  double Spread(int64_t begin, int64_t end) const;
  double Spread(int64_t begin, int64_t end, double centre) const;

  // Points below `value`.
  int64_t CountBelow(double value) const;

 private:
  std::vector<double> values_;
  std::vector<double> weight_sums_;  // [size + 1], of the points before each, as the others
  std::vector<double> value_sums_;
  std::vector<double> square_sums_;
};

// At most `most` groups of neighbouring points as one point each, where most are needed: equal
// shares of what a quantizer's levels follow, the cube root of the density.
LutPoints CondenseLutPoints(const LutPoints& points, int64_t most);

// The `entries` centres, ascending, of the least weighted sum of squared distances: the optimum.
// Where there are fewer points, the last centre is repeated. Takes entries * n log n steps for n <
// 65536 points. Looks at `progress` often. Errors: Cancelled.
absl::StatusOr<std::vector<double>> OptimalLutCentres(const LutPoints& points, int entries,
                                                      const Progress& progress);

// Moves ascending centres to the means of the points nearest to each, until none moves by more than
// a millionth of the whole, or `rounds` times. The error never grows.
void ImproveLutCentres(const LutPoints& points, int rounds, std::vector<double>& centres);

// Weighted sum of squared distances of all points from the nearest of ascending centres.
double LutError(const LutPoints& points, std::span<const double> centres);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_KMEANS_H_
