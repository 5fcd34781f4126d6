#include "server/engine/jobs/quality.h"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/random.h"
#include "kernels/api/status.h"
#include "server/base/parallel.h"

namespace qtipd {
namespace {

constexpr int64_t kVectors = 16;
constexpr int64_t kBlockElements = int64_t{1} << 22;  // brought to the host at a time, about
constexpr int64_t kRowsPerThread = 16;

struct Sums {
  double error = 0;         // sum of (W - W_hat)^2
  double weight = 0;        // of W^2
  double output_error = 0;  // of ((W - W_hat) x)^2
  double output = 0;        // of (W x)^2

  void Add(const Sums& other) {
    error += other.error;
    weight += other.weight;
    output_error += other.output_error;
    output += other.output;
  }
};

// One row against all vectors at once: x is [in_features, kVectors], so that the inner loop runs
// over the vectors and vectorises without reordering any sum.
Sums CompareRow(std::span<const float> w, const float* w_hat, const float* x) {
  std::array<float, kVectors> output{};
  std::array<float, kVectors> output_error{};
  Sums sums;
  for (size_t j = 0; j < w.size(); ++j) {
    const float weight = w[j];
    const float error = weight - w_hat[j];
    sums.weight += double{weight} * weight;
    sums.error += double{error} * error;
    for (int64_t v = 0; v < kVectors; ++v) {
      output[v] += weight * x[j * kVectors + v];
      output_error[v] += error * x[j * kVectors + v];
    }
  }
  for (int64_t v = 0; v < kVectors; ++v) {
    sums.output += double{output[v]} * output[v];
    sums.output_error += double{output_error[v]} * output_error[v];
  }
  return sums;
}

double Ratio(double error, double whole) {
  if (whole > 0) return error / whole;
  return error == 0 ? 0 : std::numeric_limits<double>::infinity();
}

}  // namespace

absl::StatusOr<Quality> MeasureQuality(Device& device, ResidentWeights& resident,
                                       const WeightReader& read_weights, Progress& progress) {
  const Shape shape = resident.shape();
  const int64_t rows = shape.out_features;
  const int64_t columns = shape.in_features;
  QTIPD_ASSIGN_OR_RETURN(const Buffer decoded,
                         device.Allocate(static_cast<size_t>(rows * columns) * sizeof(float)));
  QTIPD_RETURN_IF_ERROR(resident.DecodeOriginal(decoded.data(), DType::kF32, progress));
  QTIPD_RETURN_IF_ERROR(device.Synchronize());

  std::vector<float> x(static_cast<size_t>(columns * kVectors));
  FillNormal(0, RandomStream::kQualityActivations, 0, x);
  const int64_t block_rows = std::clamp(kBlockElements / columns, int64_t{1}, rows);
  std::vector<float> block(static_cast<size_t>(block_rows * columns));
  std::vector<float> weights(block.size());
  std::vector<Sums> by_row(static_cast<size_t>(rows));
  for (int64_t first = 0; first < rows; first += block_rows) {
    if (progress.IsCancelled()) return absl::CancelledError("cancelled while measuring errors");
    progress.Report(static_cast<double>(first) / static_cast<double>(rows), "quality");
    const int64_t count = std::min(block_rows, rows - first);
    QTIPD_RETURN_IF_ERROR(device.CopyToHost(block.data(), decoded.as<float>() + first * columns,
                                            static_cast<size_t>(count * columns) * sizeof(float)));
    ParallelBlocks(count, kRowsPerThread, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const std::span<float> w = std::span(weights).subspan(static_cast<size_t>(row * columns),
                                                              static_cast<size_t>(columns));
        read_weights((first + row) * columns, w);
        by_row[first + row] = CompareRow(w, block.data() + row * columns, x.data());
      }
    });
  }

  Sums sums;
  for (const Sums& row : by_row) sums.Add(row);
  Quality quality;
  quality.weight_mse = sums.error / static_cast<double>(rows * columns);
  quality.relative_weight_mse = Ratio(sums.error, sums.weight);
  quality.output_mse = sums.output_error / static_cast<double>(rows * kVectors);
  quality.relative_output_mse = Ratio(sums.output_error, sums.output);
  return quality;
}

}  // namespace qtipd
