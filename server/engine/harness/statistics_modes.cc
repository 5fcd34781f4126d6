// How many modes a distribution has: a kernel's two speeds, a clock that stepped, a second program.
//
// A Gaussian kernel density with Silverman's robust bandwidth, 0.9 min(s, IQR / 1.34) n^(-1/5), on
// a grid over the middle 98 % of the samples. A local maximum counts as a mode if at least 5 % of
// the samples are nearer to it than to another, and if the density falls below 60 % of the lower of
// two neighbouring maxima between them. Fewer than 50 samples have one mode. Samples of a coarse
// timer are not as many modes as the timer has ticks: the bandwidth is no less than the smallest
// step. Source: Silverman, "Density Estimation for Statistics and Data Analysis" (1986),
// section 3.4.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "server/engine/harness/statistic_parts.h"
#include "server/engine/harness/statistics.h"

namespace qtipd {
namespace {

constexpr size_t kFewestSamples = 50;
constexpr double kTrim = 0.01;        // left out on either side
constexpr double kLeastShare = 0.05;  // of the samples, in a mode
constexpr double kValley = 0.6;       // of the lower peak
constexpr int kCells = 512;
constexpr double kReach = 4;  // bandwidths after which a kernel is nothing

double StandardDeviation(std::span<const double> values) {
  double mean = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

// The smallest difference of two values, 0 where there are fewer than three different ones.
double SmallestStep(std::span<const double> sorted) {
  double smallest = std::numeric_limits<double>::infinity();
  int steps = 0;
  for (size_t i = 1; i < sorted.size(); ++i) {
    const double step = sorted[i] - sorted[i - 1];
    if (step <= 0) continue;
    smallest = std::min(smallest, step);
    ++steps;
  }
  return steps < 2 ? 0 : smallest;
}

double Bandwidth(std::span<const double> sorted) {
  const double iqr = Quantile(sorted, 0.75) - Quantile(sorted, 0.25);
  double scale = StandardDeviation(sorted);
  if (iqr > 0) scale = std::min(scale, iqr / 1.34);
  const double silverman = 0.9 * scale * std::pow(static_cast<double>(sorted.size()), -0.2);
  return std::max(silverman, SmallestStep(sorted));
}

// Samples by cell, and their density (of no particular scale).
struct Grid {
  std::vector<double> counts = std::vector<double>(kCells, 0.0);
  std::vector<double> density = std::vector<double>(kCells, 0.0);
};

Grid Estimate(std::span<const double> sorted, double bandwidth) {
  const double first = sorted.front() - kReach * bandwidth;
  const double width = (sorted.back() + kReach * bandwidth - first) / kCells;
  Grid grid;
  for (const double value : sorted) {
    grid.counts[std::min(static_cast<size_t>((value - first) / width), grid.counts.size() - 1)] +=
        1;
  }
  const double spread = std::max(bandwidth / width, 1.0);  // in cells
  const int reach = std::min(static_cast<int>(kReach * spread) + 1, kCells);
  std::vector<double> kernel;
  for (int d = 0; d <= reach; ++d) kernel.push_back(std::exp(-0.5 * (d / spread) * (d / spread)));
  for (int cell = 0; cell < kCells; ++cell) {
    if (grid.counts[cell] == 0) continue;
    for (int d = -reach; d <= reach; ++d) {
      if (cell + d < 0 || cell + d >= kCells) continue;
      grid.density[cell + d] += grid.counts[cell] * kernel[std::abs(d)];
    }
  }
  return grid;
}

// Local maxima between which the density falls far enough, ascending, and the valleys between them.
struct Peaks {
  std::vector<int> cells;
  std::vector<int> valleys;  // one fewer
};

Peaks FindPeaks(const std::vector<double>& density) {
  Peaks peaks;
  int valley = 0;
  for (int cell = 1; cell + 1 < kCells; ++cell) {
    if (density[cell] < density[valley]) valley = cell;
    if (!(density[cell] > density[cell - 1] && density[cell] >= density[cell + 1])) continue;
    if (!peaks.cells.empty()) {
      const double last = density[peaks.cells.back()];
      if (density[valley] > kValley * std::min(last, density[cell])) {
        if (density[cell] > last) peaks.cells.back() = cell;  // one peak with a dent
        if (density[cell] > last) valley = cell;
        continue;
      }
      peaks.valleys.push_back(valley);
    }
    peaks.cells.push_back(cell);
    valley = cell;
  }
  return peaks;
}

}  // namespace

int CountModes(std::span<const double> samples) {
  std::vector<double> sorted(samples.begin(), samples.end());
  std::sort(sorted.begin(), sorted.end());
  Statistics statistics;
  FillModes(sorted, statistics);
  return statistics.modes;
}

void FillModes(std::span<const double> sorted, Statistics& statistics) {
  statistics.modes = 1;
  if (sorted.size() < kFewestSamples) return;
  const auto cut = static_cast<size_t>(kTrim * static_cast<double>(sorted.size()));
  const std::span<const double> middle = sorted.subspan(cut, sorted.size() - 2 * cut);
  const double bandwidth = Bandwidth(middle);
  if (!(bandwidth > 0)) return;
  const Grid grid = Estimate(middle, bandwidth);
  const Peaks peaks = FindPeaks(grid.density);
  int modes = 0;
  int begin = 0;
  for (size_t peak = 0; peak < peaks.cells.size(); ++peak) {
    const int end = peak < peaks.valleys.size() ? peaks.valleys[peak] : kCells;
    double count = 0;
    for (int cell = begin; cell < end; ++cell) count += grid.counts[cell];
    if (count >= kLeastShare * static_cast<double>(sorted.size())) ++modes;
    begin = end;
  }
  statistics.modes = std::max(modes, 1);
}

}  // namespace qtipd
