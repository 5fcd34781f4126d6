#include "kernels/formats/qtip/qtip_incoherence.h"

#include <algorithm>
#include <cmath>

#include "kernels/api/random.h"
#include "kernels/formats/qtip/qtip_cpu_hadamard.h"

namespace qtipd {
namespace {

// Columns copied out and transformed together: one cache line of fp32 a row.
constexpr int64_t kPanelCols = 16;

// diag(left) M diag(right) in place.
template <typename T>
void ScaleBySigns(ThreadPool& pool, std::span<T> matrix, const std::vector<float>& left,
                  const std::vector<float>& right) {
  const auto cols = static_cast<int64_t>(right.size());
  pool.ParallelFor(static_cast<int64_t>(left.size()), [&](int, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      T* values = matrix.data() + row * cols;
      for (int64_t col = 0; col < cols; ++col) values[col] *= T{left[row]} * T{right[col]};
    }
  });
}

}  // namespace

QtipSigns MakeQtipSigns(Shape shape, uint64_t seed) {
  QtipSigns signs{std::vector<float>(shape.in_features), std::vector<float>(shape.out_features)};
  FillSigns(seed, RandomStream::kInputSigns, 0, signs.su);
  FillSigns(seed, RandomStream::kOutputSigns, 0, signs.sv);
  return signs;
}

template <typename T>
void HadamardTransform(std::span<T> values, HadamardDirection direction) {
  QtipCpuHadamard(MakeQtipCpuTransform<T>(static_cast<int64_t>(values.size()), direction),
                  values.data());
}

template <typename T>
void HadamardRows(ThreadPool& pool, std::span<T> matrix, int64_t rows, int64_t cols,
                  HadamardDirection direction) {
  const auto transform = MakeQtipCpuTransform<T>(cols, direction);
  pool.ParallelFor(rows, [&](int, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      QtipCpuHadamard(transform, matrix.data() + row * cols);
  });
}

template <typename T>
void HadamardColumns(ThreadPool& pool, std::span<T> matrix, int64_t rows, int64_t cols,
                     HadamardDirection direction) {
  const auto transform = MakeQtipCpuTransform<T>(rows, direction);
  pool.ParallelFor((cols + kPanelCols - 1) / kPanelCols, [&](int, int64_t begin, int64_t end) {
    std::vector<T> panel(rows * kPanelCols);
    for (int64_t first = begin * kPanelCols; first < std::min(end * kPanelCols, cols);
         first += kPanelCols) {
      const int64_t width = std::min(kPanelCols, cols - first);
      for (int64_t row = 0; row < rows; ++row) {
        std::copy_n(matrix.data() + row * cols + first, width, panel.data() + row * width);
      }
      QtipCpuHadamardColumns(transform, panel.data(), width, width);
      for (int64_t row = 0; row < rows; ++row) {
        std::copy_n(panel.data() + row * width, width, matrix.data() + row * cols + first);
      }
    }
  });
}

template void HadamardTransform(std::span<float>, HadamardDirection);
template void HadamardTransform(std::span<double>, HadamardDirection);
template void HadamardRows(ThreadPool&, std::span<float>, int64_t, int64_t, HadamardDirection);
template void HadamardRows(ThreadPool&, std::span<double>, int64_t, int64_t, HadamardDirection);
template void HadamardColumns(ThreadPool&, std::span<float>, int64_t, int64_t, HadamardDirection);
template void HadamardColumns(ThreadPool&, std::span<double>, int64_t, int64_t, HadamardDirection);

std::vector<float> RotateWeights(ThreadPool& pool, std::span<const float> weights, Shape shape,
                                 const QtipSigns& signs) {
  std::vector<float> rotated(weights.begin(), weights.end());
  ScaleBySigns(pool, std::span(rotated), signs.sv, signs.su);
  HadamardRows(pool, std::span(rotated), shape.out_features, shape.in_features,
               HadamardDirection::kTransposed);
  HadamardColumns(pool, std::span(rotated), shape.out_features, shape.in_features,
                  HadamardDirection::kTransposed);
  return rotated;
}

std::vector<double> RotateHessian(ThreadPool& pool, std::span<const float> hessian,
                                  const std::vector<float>& su, double sigma_reg) {
  const auto n = static_cast<int64_t>(su.size());
  std::vector<double> rotated(hessian.begin(), hessian.end());
  double trace = 0;
  for (int64_t i = 0; i < n; ++i) trace += rotated[i * n + i];
  for (int64_t i = 0; i < n; ++i) {
    rotated[i * n + i] += sigma_reg * trace / static_cast<double>(n);
  }
  ScaleBySigns(pool, std::span(rotated), su, su);
  HadamardRows(pool, std::span(rotated), n, n, HadamardDirection::kTransposed);
  HadamardColumns(pool, std::span(rotated), n, n, HadamardDirection::kTransposed);
  return rotated;
}

}  // namespace qtipd
