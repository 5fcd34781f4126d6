#include "server/engine/harness/statistics.h"

#include <algorithm>
#include <vector>

#include "server/engine/harness/statistic_parts.h"

namespace qtipd {
namespace {

constexpr StatisticPart* kParts[] = {FillCenter, FillSpread, FillOutliers, FillModes};

std::vector<double> Sorted(std::span<const double> samples) {
  std::vector<double> sorted(samples.begin(), samples.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

}  // namespace

double Quantile(std::span<const double> sorted, double q) {
  const double position = q * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  const double fraction = position - static_cast<double>(below);
  return sorted[below] + fraction * (sorted[above] - sorted[below]);
}

Statistics Summarise(std::span<const double> samples) {
  const std::vector<double> sorted = Sorted(samples);
  Statistics statistics;
  for (StatisticPart* fill : kParts) fill(sorted, statistics);
  return statistics;
}

double Median(std::span<const double> samples) {
  return samples.empty() ? 0 : Quantile(Sorted(samples), 0.5);
}

}  // namespace qtipd
