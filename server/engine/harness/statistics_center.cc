// Median, its distribution-free interval, and the mean.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "server/engine/harness/statistic_parts.h"
#include "server/engine/harness/statistics.h"

namespace qtipd {

namespace {

// ln((n - 1)!) for an argument n > 0. std::lgamma would write the sign to a variable that all
// threads share.
double LogGamma(double argument) {
  int sign = 0;
  return lgamma_r(argument, &sign);
}

}  // namespace

std::pair<size_t, size_t> MedianIntervalRanks(size_t n) {
  const double count = static_cast<double>(n);
  const double log_scale = LogGamma(count + 1) - count * std::log(2.0);
  double cumulative = 0;
  size_t k = 0;
  while (k < n / 2) {
    const double i = static_cast<double>(k);
    cumulative += std::exp(log_scale - LogGamma(i + 1) - LogGamma(count - i + 1));
    if (cumulative > 0.025) break;
    ++k;
  }
  if (k == 0) return {0, n - 1};
  return {k - 1, n - k};
}

void FillCenter(std::span<const double> sorted, Statistics& statistics) {
  const auto [low, high] = MedianIntervalRanks(sorted.size());
  statistics.median = Quantile(sorted, 0.5);
  statistics.ci_low = sorted[low];
  statistics.ci_high = sorted[high];
  statistics.mean =
      std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size());
}

double RelativeHalfWidth(const Statistics& statistics) {
  if (statistics.median <= 0) return std::numeric_limits<double>::infinity();
  return (statistics.ci_high - statistics.ci_low) / 2 / statistics.median;
}

double RelativeHalfWidth(std::span<const double> samples) {
  std::vector<double> values(samples.begin(), samples.end());
  const auto [low, high] = MedianIntervalRanks(values.size());
  const auto at = [&](size_t rank) { return values.begin() + static_cast<std::ptrdiff_t>(rank); };
  std::nth_element(values.begin(), at(low), values.end());
  std::nth_element(at(low), at(high), values.end());
  // What lies between the two ranks holds the median's order statistics.
  std::sort(at(low), at(high));
  Statistics statistics;
  statistics.median = Quantile(values, 0.5);
  statistics.ci_low = values[low];
  statistics.ci_high = values[high];
  return RelativeHalfWidth(statistics);
}

}  // namespace qtipd
