// The normalised weights of a whole matrix as points: a histogram whose counts are integers, so
// that it is the same however rows are spread over threads.
#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/api/status.h"
#include "kernels/cpu/pieces.h"
#include "kernels/formats/lut/lut_codebook.h"

namespace qtipd {
namespace {

constexpr int64_t kBins = int64_t{1} << 18;
// Threads that have a histogram of their own: 2 MiB each.
constexpr int kMostSlots = 16;

// Calls use(normalised weight, weight of its error) for a row.
template <class Use>
void ForRow(const LutProblem& problem, int64_t row, std::span<const uint16_t> scales,
            const Use& use) {
  const std::span<const float> weights = problem.row(row);
  const int64_t blocks = problem.blocks();
  if (blocks == 0) {
    for (size_t i = 0; i < weights.size(); ++i) use(weights[i], problem.importance[i]);
    return;
  }
  for (int64_t b = 0; b < blocks; ++b) {
    const float scale = LutScaleValue(scales[row * blocks + b], problem.spec.scale_dtype);
    if (scale == 0) continue;
    const float inverse = 1 / scale;
    for (int64_t i = b * problem.spec.block; i < (b + 1) * problem.spec.block; ++i) {
      use(weights[i] * inverse, problem.importance[i] * scale * scale);
    }
  }
}

struct Range {
  float value = 0;   // largest magnitude
  float weight = 0;  // largest weight of an error
};

absl::StatusOr<Range> FindRange(ThreadPool& pool, const Progress& progress,
                                const LutProblem& problem, std::span<const uint16_t> scales) {
  std::vector<Range> ranges(problem.shape.out_features);
  QTIPD_RETURN_IF_ERROR(ForPieces(pool, progress, problem.shape.out_features,
                                  PieceRows(problem.shape.in_features),
                                  [&](int64_t begin, int64_t end) {
                                    for (int64_t row = begin; row < end; ++row) {
                                      Range range;
                                      ForRow(problem, row, scales, [&](float value, float weight) {
                                        range.value = std::max(range.value, std::abs(value));
                                        range.weight = std::max(range.weight, weight);
                                      });
                                      ranges[row] = range;
                                    }
                                  }));
  Range whole;
  for (const Range& range : ranges) {
    whole.value = std::max(whole.value, range.value);
    whole.weight = std::max(whole.weight, range.weight);
  }
  return whole;
}

LutPoints PointsOf(std::span<const uint64_t> bins, double most) {
  std::vector<double> values;
  std::vector<double> weights;
  for (int64_t i = 0; i < kBins; ++i) {
    if (bins[i] == 0) continue;
    values.push_back(most * ((2 * static_cast<double>(i) + 1) / kBins - 1));
    weights.push_back(static_cast<double>(bins[i]));
  }
  return LutPoints(values, weights);
}

}  // namespace

absl::StatusOr<LutPoints> MatrixLutPoints(ThreadPool& pool, const Progress& progress,
                                          const LutProblem& problem,
                                          std::span<const uint16_t> scales) {
  QTIPD_ASSIGN_OR_RETURN(const Range range, FindRange(pool, progress, problem, scales));
  if (range.value == 0 || range.weight == 0) return LutPoints({}, {});
  const int slots = std::min(pool.threads(), kMostSlots);
  std::vector<std::vector<uint64_t>> bins(slots, std::vector<uint64_t>(kBins));
  const auto count = static_cast<uint64_t>(problem.weights.size());
  // Even if all had the largest weight, sums would stay below 2^63.
  const double unit = std::ldexp(1.0, 62 - std::bit_width(count)) / range.weight;
  const float to_bin = static_cast<float>(kBins / 2) / range.value;
  QTIPD_RETURN_IF_ERROR(ForPieces(
      pool, slots, progress, problem.shape.out_features, PieceRows(4 * problem.shape.in_features),
      [&](int slot, int64_t begin, int64_t end) {
        uint64_t* counts = bins[slot].data();
        for (int64_t row = begin; row < end; ++row) {
          ForRow(problem, row, scales, [&](float value, float weight) {
            const auto bin = static_cast<int64_t>(value * to_bin + static_cast<float>(kBins / 2));
            counts[std::clamp<int64_t>(bin, 0, kBins - 1)] +=
                static_cast<uint64_t>(double{weight} * unit) + 1;
          });
        }
      }));
  for (int slot = 1; slot < slots; ++slot) {
    for (int64_t i = 0; i < kBins; ++i) bins[0][i] += bins[slot][i];
  }
  return PointsOf(bins[0], range.value);
}

LutPoints RowLutPoints(const LutProblem& problem, int64_t row, std::span<const uint16_t> scales) {
  std::vector<std::pair<float, float>> pairs;
  pairs.reserve(problem.shape.in_features);
  ForRow(problem, row, scales,
         [&](float value, float weight) { pairs.emplace_back(value, weight); });
  std::ranges::sort(pairs);
  std::vector<double> values(pairs.size());
  std::vector<double> weights(pairs.size());
  for (size_t i = 0; i < pairs.size(); ++i) {
    values[i] = pairs[i].first;
    weights[i] = pairs[i].second;
  }
  return LutPoints(values, weights);
}

uint64_t LutCodebookBytes(const LutSpec& spec, Shape shape, int threads) {
  // Points: values and three sums; while they are made, values and weights beside.
  constexpr uint64_t kPointBytes = 6 * sizeof(double);
  if (spec.is_per_channel) {
    const auto points = static_cast<uint64_t>(shape.in_features);
    return threads * (points * (kPointBytes + sizeof(std::pair<float, float>)) +
                      kLutCondensedOfRow * (kPointBytes + spec.entries() * sizeof(uint16_t)));
  }
  const uint64_t slots = std::min(threads, kMostSlots);
  return slots * kBins * sizeof(uint64_t) + kBins * 2 * kPointBytes +
         shape.out_features * sizeof(Range) +
         kLutCondensed * (kPointBytes + spec.entries() * sizeof(uint16_t));
}

}  // namespace qtipd
