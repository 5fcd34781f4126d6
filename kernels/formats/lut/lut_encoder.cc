#include "kernels/formats/lut/lut_encoder.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace qtipd {
namespace {

// What a scale is multiplied by to find a better one: below 1 where the largest weight of a block
// need not be reached.
constexpr float kTrials[] = {0.5f, 0.6f, 0.7f, 0.8f, 0.85f, 0.9f, 0.95f, 1.0f, 1.05f, 1.1f};

constexpr int64_t kMostBlock = 128;

float Inverse(float scale) { return scale == 0 ? 0 : 1 / scale; }

// Sums in a fixed order that vectorises.
constexpr int kSums = 8;

struct Block {
  std::span<const float> weights;
  std::span<const float> importance;
};

// The scale that fits the entries which `scale` chooses best, and by how much they then reduce the
// error of all zeros.
struct Fit {
  float scale = 0;
  float gain = 0;
};

float Total(const std::array<float, kSums>& sums) {
  float total = 0;
  for (const float sum : sums) total += sum;
  return total;
}

Fit FitScale(const Block& block, const LutTable& table, float scale) {
  float entries[kMostBlock];
  FindLutValues(table, block.weights, Inverse(scale), entries);
  std::array<float, kSums> products = {};
  std::array<float, kSums> squares = {};
  for (size_t first = 0; first < block.weights.size(); first += kSums) {
    for (int lane = 0; lane < kSums; ++lane) {
      const float weighted = block.importance[first + lane] * entries[first + lane];
      products[lane] += weighted * block.weights[first + lane];
      squares[lane] += weighted * entries[first + lane];
    }
  }
  const float product = Total(products);
  const float square = Total(squares);
  if (!(product > 0) || !(square > 0)) return {};
  return {product / square, product * (product / square)};
}

float ErrorOf(const Block& block, const LutTable& table, float scale) {
  float entries[kMostBlock];
  FindLutValues(table, block.weights, Inverse(scale), entries);
  std::array<float, kSums> sums = {};
  for (size_t first = 0; first < block.weights.size(); first += kSums) {
    for (int lane = 0; lane < kSums; ++lane) {
      const float error = block.weights[first + lane] - scale * entries[first + lane];
      sums[lane] += block.importance[first + lane] * error * error;
    }
  }
  return Total(sums);
}

uint16_t RefineScale(const Block& block, const LutTable& table, uint16_t bits, DType dtype) {
  const float scale = LutScaleValue(bits, dtype);
  Fit best;
  for (const float trial : kTrials) {
    const Fit fit = FitScale(block, table, scale * trial);
    if (fit.gain > best.gain) best = fit;
  }
  const uint16_t fitted = LutScaleBits(best.scale, dtype);
  const float value = LutScaleValue(fitted, dtype);
  if (!std::isfinite(value) || fitted == bits) return bits;
  return ErrorOf(block, table, value) < ErrorOf(block, table, scale) ? fitted : bits;
}

}  // namespace

void StartLutScales(const LutProblem& problem, int64_t row, std::span<uint16_t> scales) {
  const std::span<const float> weights = problem.row(row);
  for (size_t i = 0; i < scales.size(); ++i) {
    const auto block = weights.subspan(i * problem.spec.block, problem.spec.block);
    double most = 0;
    double squares = 0;
    for (const float weight : block) {
      most = std::max(most, std::abs(double{weight}));
      squares += double{weight} * weight;
    }
    const double scale =
        problem.is_rms ? std::sqrt(squares / static_cast<double>(block.size())) : most;
    scales[i] = LutScaleBits(static_cast<float>(scale), problem.spec.scale_dtype);
  }
}

void RefineLutScales(const LutProblem& problem, int64_t row, const LutTable& table,
                     std::span<uint16_t> scales) {
  const int64_t size = problem.spec.block;
  for (size_t i = 0; i < scales.size(); ++i) {
    const Block block = {problem.row(row).subspan(i * size, size),
                         problem.importance.subspan(i * size, size)};
    scales[i] = RefineScale(block, table, scales[i], problem.spec.scale_dtype);
  }
}

double EncodeLutRow(const LutProblem& problem, int64_t row, const LutTable& table,
                    std::span<const uint16_t> scales, uint8_t* packed, std::span<float> errors) {
  const std::span<const float> weights = problem.row(row);
  const int64_t step = scales.empty() ? kMostBlock : problem.spec.block;
  uint8_t indices[kMostBlock];
  double sum = 0;
  for (int64_t first = 0; first < problem.shape.in_features; first += step) {
    const int64_t count = std::min(step, problem.shape.in_features - first);
    const float scale =
        scales.empty() ? 1 : LutScaleValue(scales[first / step], problem.spec.scale_dtype);
    FindLutIndices(table, weights.subspan(first, count), Inverse(scale), indices);
    PackLutRow({indices, static_cast<size_t>(count)}, problem.spec.bits,
               packed + problem.spec.row_bytes(first));
    for (int64_t i = 0; i < count; ++i) {
      const float error = weights[first + i] - scale * table.values[indices[i]];
      sum += double{problem.importance[first + i]} * error * error;
      errors[first + i] = error;
    }
  }
  return sum;
}

}  // namespace qtipd
