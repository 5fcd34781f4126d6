// Extremes, percentiles where there are samples enough, IQR and MAD.
#include <algorithm>
#include <cmath>
#include <vector>

#include "server/engine/harness/statistic_parts.h"
#include "server/engine/harness/statistics.h"

namespace qtipd {
namespace {

double MedianAbsoluteDeviation(std::span<const double> sorted) {
  const double median = Quantile(sorted, 0.5);
  std::vector<double> deviations;
  deviations.reserve(sorted.size());
  for (const double value : sorted) deviations.push_back(std::fabs(value - median));
  std::sort(deviations.begin(), deviations.end());
  return Quantile(deviations, 0.5);
}

}  // namespace

void FillSpread(std::span<const double> sorted, Statistics& statistics) {
  statistics.minimum = sorted.front();
  statistics.maximum = sorted.back();
  if (sorted.size() >= kMinSamplesForDeciles) {
    statistics.p10 = Quantile(sorted, 0.1);
    statistics.p90 = Quantile(sorted, 0.9);
  }
  if (sorted.size() >= kMinSamplesForP95) statistics.p95 = Quantile(sorted, 0.95);
  if (sorted.size() >= kMinSamplesForP99) statistics.p99 = Quantile(sorted, 0.99);
  statistics.iqr = Quantile(sorted, 0.75) - Quantile(sorted, 0.25);
  statistics.mad = MedianAbsoluteDeviation(sorted);
}

}  // namespace qtipd
