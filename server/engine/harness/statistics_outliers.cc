// Outliers by Tukey's fences, counted on either side; they stay in every other figure.
#include <algorithm>

#include "server/engine/harness/statistic_parts.h"

namespace qtipd {
namespace {

constexpr double kFence = 1.5;  // Tukey, "Exploratory Data Analysis" (1977), chapter 2

}  // namespace

void FillOutliers(std::span<const double> sorted, Statistics& statistics) {
  const double q1 = Quantile(sorted, 0.25);
  const double q3 = Quantile(sorted, 0.75);
  const double low = q1 - kFence * (q3 - q1);
  const double high = q3 + kFence * (q3 - q1);
  statistics.low_outliers = std::lower_bound(sorted.begin(), sorted.end(), low) - sorted.begin();
  statistics.high_outliers = sorted.end() - std::upper_bound(sorted.begin(), sorted.end(), high);
}

}  // namespace qtipd
