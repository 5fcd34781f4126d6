#include "kernels/formats/lut/lut_kmeans.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/api/status.h"
#include "kernels/cpu/pieces.h"

namespace qtipd {
namespace {

// The table of the dynamic program: the least error of the first points in so many clusters, and
// where the last cluster begins.
class Program {
 public:
  Program(const LutPoints& points, int entries)
      : points_(points),
        least_(points.size() + 1),
        next_(points.size() + 1),
        begins_(entries, std::vector<uint16_t>(points.size() + 1)) {
    for (int64_t end = 1; end <= points.size(); ++end) least_[end] = points.Spread(0, end);
  }

  // From `clusters` clusters to one more.
  void Extend(int clusters) {
    Search(clusters, clusters + 1, points_.size(), clusters, points_.size() - 1);
    least_.swap(next_);
  }

  std::vector<double> Centres() const {
    std::vector<double> centres(begins_.size());
    int64_t end = points_.size();
    for (int64_t cluster = std::ssize(begins_) - 1; cluster >= 0; --cluster) {
      const int64_t begin = begins_[cluster][end];
      centres[cluster] = points_.Mean(begin, end);
      end = begin;
    }
    return centres;
  }

 private:
  // Fills entries [first, last] of the row of `cluster`, whose choices lie in [low, high]: that of
  // the middle one bounds those on both sides.
  void Search(int cluster, int64_t first, int64_t last, int64_t low, int64_t high) {
    if (first > last) return;
    const int64_t end = (first + last) / 2;
    double best = std::numeric_limits<double>::infinity();
    int64_t choice = low;
    for (int64_t begin = low; begin <= std::min(high, end - 1); ++begin) {
      const double error = least_[begin] + points_.Spread(begin, end);
      if (error < best) {
        best = error;
        choice = begin;
      }
    }
    next_[end] = best;
    begins_[cluster][end] = static_cast<uint16_t>(choice);
    Search(cluster, first, end - 1, low, choice);
    Search(cluster, end + 1, last, choice, high);
  }

  const LutPoints& points_;
  std::vector<double> least_;
  std::vector<double> next_;
  std::vector<std::vector<uint16_t>> begins_;
};

}  // namespace

LutPoints::LutPoints(std::span<const double> values, std::span<const double> weights)
    : weight_sums_{0}, value_sums_{0}, square_sums_{0} {
  for (size_t i = 0; i < values.size(); ++i) {
    if (!(weights[i] > 0)) continue;
    if (values_.empty() || values[i] != values_.back()) {
      values_.push_back(values[i]);
      weight_sums_.push_back(weight_sums_.back());
      value_sums_.push_back(value_sums_.back());
      square_sums_.push_back(square_sums_.back());
    }
    weight_sums_.back() += weights[i];
    value_sums_.back() += weights[i] * values[i];
    square_sums_.back() += weights[i] * values[i] * values[i];
  }
}

double LutPoints::Mean(int64_t begin, int64_t end) const {
  if (begin == end) return 0;
  return (value_sums_[end] - value_sums_[begin]) / (weight_sums_[end] - weight_sums_[begin]);
}

double LutPoints::Spread(int64_t begin, int64_t end) const {
  if (end - begin < 2) return 0;
  const double weight = weight_sums_[end] - weight_sums_[begin];
  const double value = value_sums_[end] - value_sums_[begin];
  // Rounding may leave less than nothing.
  return std::max(0.0, square_sums_[end] - square_sums_[begin] - value * value / weight);
}

double LutPoints::Spread(int64_t begin, int64_t end, double centre) const {
  const double weight = weight_sums_[end] - weight_sums_[begin];
  const double value = value_sums_[end] - value_sums_[begin];
  const double square = square_sums_[end] - square_sums_[begin];
  return std::max(0.0, square - 2 * centre * value + centre * centre * weight);
}

int64_t LutPoints::CountBelow(double value) const {
  return std::ranges::lower_bound(values_, value) - values_.begin();
}

LutPoints CondenseLutPoints(const LutPoints& points, int64_t most) {
  if (points.size() <= most) return points;
  // Of a point: its share of the integral of the cube root of the density, half the way to its
  // neighbours being its own.
  const int64_t size = points.size();
  std::vector<double> shares(size);
  double total = 0;
  for (int64_t i = 0; i < size; ++i) {
    const double before =
        points.value(std::max<int64_t>(i, 1)) - points.value(std::max<int64_t>(i, 1) - 1);
    const double after =
        points.value(std::min(i + 1, size - 1)) - points.value(std::min(i, size - 2));
    const double width = (before + after) / 2;
    shares[i] = std::cbrt(points.weight(i) * width * width);
    total += shares[i];
  }
  std::vector<double> values;
  std::vector<double> weights;
  double sum = 0;
  int64_t begin = 0;
  for (int64_t i = 0; i < size; ++i) {
    const auto group = static_cast<int64_t>(sum / total * static_cast<double>(most));
    sum += shares[i];
    const auto next = static_cast<int64_t>(sum / total * static_cast<double>(most));
    if (next == group && i + 1 < size) continue;
    double weight = 0;
    for (int64_t j = begin; j <= i; ++j) weight += points.weight(j);
    values.push_back(points.Mean(begin, i + 1));
    weights.push_back(weight);
    begin = i + 1;
  }
  return LutPoints(values, weights);
}

absl::StatusOr<std::vector<double>> OptimalLutCentres(const LutPoints& points, int entries,
                                                      const Progress& progress) {
  if (points.size() <= entries) {
    std::vector<double> centres(entries);
    for (int i = 0; i < entries; ++i) {
      centres[i] = points.value(std::min<int64_t>(i, points.size() - 1));
    }
    return centres;
  }
  Program program(points, entries);
  for (int clusters = 1; clusters < entries; ++clusters) {
    QTIPD_RETURN_IF_ERROR(CheckNotCancelled(progress));
    program.Extend(clusters);
  }
  return program.Centres();
}

void ImproveLutCentres(const LutPoints& points, int rounds, std::vector<double>& centres) {
  const double width = points.value(points.size() - 1) - points.value(0);
  for (int round = 0; round < rounds; ++round) {
    double moved = 0;
    int64_t begin = 0;
    std::vector<double> improved = centres;
    for (size_t i = 0; i < centres.size(); ++i) {
      const int64_t end = i + 1 == centres.size()
                              ? points.size()
                              : points.CountBelow((centres[i] + centres[i + 1]) / 2);
      if (end > begin) improved[i] = points.Mean(begin, end);
      moved = std::max(moved, std::abs(improved[i] - centres[i]));
      begin = std::max(begin, end);
    }
    centres = std::move(improved);
    if (moved <= 1e-6 * width) return;
  }
}

double LutError(const LutPoints& points, std::span<const double> centres) {
  double error = 0;
  int64_t begin = 0;
  for (size_t i = 0; i < centres.size(); ++i) {
    const int64_t end = i + 1 == centres.size()
                            ? points.size()
                            : points.CountBelow((centres[i] + centres[i + 1]) / 2);
    error += points.Spread(begin, std::max(begin, end), centres[i]);
    begin = std::max(begin, end);
  }
  return error;
}

}  // namespace qtipd
