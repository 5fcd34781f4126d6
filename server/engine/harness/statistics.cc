#include "server/engine/harness/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace qtipd {
namespace {

// Quantile `q` of sorted values: linear between the two nearest order statistics.
double Quantile(const std::vector<double>& sorted, double q) {
  const double position = q * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  const double fraction = position - static_cast<double>(below);
  return sorted[below] + fraction * (sorted[above] - sorted[below]);
}

std::vector<double> Sorted(std::span<const double> samples) {
  std::vector<double> sorted(samples.begin(), samples.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

}  // namespace

std::pair<size_t, size_t> MedianIntervalRanks(size_t n) {
  const double count = static_cast<double>(n);
  const double log_scale = std::lgamma(count + 1) - count * std::log(2.0);
  double cumulative = 0;
  size_t k = 0;
  while (k < n / 2) {
    const double i = static_cast<double>(k);
    cumulative += std::exp(log_scale - std::lgamma(i + 1) - std::lgamma(count - i + 1));
    if (cumulative > 0.025) break;
    ++k;
  }
  if (k == 0) return {0, n - 1};
  return {k - 1, n - k};
}

Statistics Summarise(std::span<const double> samples) {
  const std::vector<double> sorted = Sorted(samples);
  const auto [low, high] = MedianIntervalRanks(sorted.size());
  Statistics statistics;
  statistics.median = Quantile(sorted, 0.5);
  statistics.ci_low = sorted[low];
  statistics.ci_high = sorted[high];
  statistics.mean =
      std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size());
  statistics.minimum = sorted.front();
  statistics.maximum = sorted.back();
  statistics.p10 = Quantile(sorted, 0.1);
  statistics.p90 = Quantile(sorted, 0.9);
  statistics.iqr = Quantile(sorted, 0.75) - Quantile(sorted, 0.25);
  return statistics;
}

double Median(std::span<const double> samples) {
  return samples.empty() ? 0 : Quantile(Sorted(samples), 0.5);
}

double RelativeHalfWidth(const Statistics& statistics) {
  if (statistics.median <= 0) return std::numeric_limits<double>::infinity();
  return (statistics.ci_high - statistics.ci_low) / 2 / statistics.median;
}

}  // namespace qtipd
