#include "kernels/formats/qtip/qtip_incoherence.h"

#include <algorithm>
#include <cmath>

#include "kernels/api/random.h"

namespace qtipd {
namespace {

// Columns transformed together: one cache line of fp32 a row.
constexpr int64_t kPanelCols = 16;

// Butterflies of all strides below n over groups of `width` adjacent values, which transform
// independently: [n][width].
template <typename T>
void Butterflies(T* values, int64_t n, int64_t width) {
  for (int64_t stride = width; stride < n * width; stride *= 2) {
    for (int64_t first = 0; first < n * width; first += 2 * stride) {
      T* __restrict low = values + first;
      T* __restrict high = low + stride;
      for (int64_t i = 0; i < stride; ++i) {
        const T sum = low[i] + high[i];
        high[i] = low[i] - high[i];
        low[i] = sum;
      }
    }
  }
}

// The transform of `size` elements, made once for many vectors.
template <typename T>
class Transform {
 public:
  Transform(int64_t size, HadamardDirection direction)
      : size_(size),
        order_(HadamardOrder(size).value()),
        factor_(static_cast<T>(1 / std::sqrt(static_cast<double>(size)))) {
    const std::vector<int8_t> matrix = HadamardMatrix(order_, direction);
    matrix_.assign(matrix.begin(), matrix.end());
  }

  // values [size][width], each of the `width` columns by itself.
  void Apply(T* values, int64_t width) const {
    const int64_t points = size_ / order_;
    for (int row = 0; row < order_; ++row) {
      Butterflies(values + row * points * width, points, width);
    }
    if (order_ > 1) CombineRows(values, points * width);
    for (int64_t i = 0; i < size_ * width; ++i) values[i] *= factor_;
  }

 private:
  // values [order][cols] <- matrix values.
  void CombineRows(T* values, int64_t cols) const {
    std::vector<T> panel(order_ * kPanelCols);
    for (int64_t first = 0; first < cols; first += kPanelCols) {
      const int64_t count = std::min(kPanelCols, cols - first);
      for (int row = 0; row < order_; ++row) {
        std::copy_n(values + row * cols + first, count, panel.data() + row * kPanelCols);
      }
      for (int row = 0; row < order_; ++row) {
        T sums[kPanelCols] = {};
        for (int k = 0; k < order_; ++k) {
          const T sign = matrix_[row * order_ + k];
          for (int64_t i = 0; i < kPanelCols; ++i) sums[i] += sign * panel[k * kPanelCols + i];
        }
        std::copy_n(sums, count, values + row * cols + first);
      }
    }
  }

  int64_t size_;
  int order_;
  T factor_;
  std::vector<T> matrix_;  // [order][order] of +-1
};

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
  Transform<T>(static_cast<int64_t>(values.size()), direction).Apply(values.data(), 1);
}

template <typename T>
void HadamardRows(ThreadPool& pool, std::span<T> matrix, int64_t rows, int64_t cols,
                  HadamardDirection direction) {
  const Transform<T> transform(cols, direction);
  pool.ParallelFor(rows, [&](int, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) transform.Apply(matrix.data() + row * cols, 1);
  });
}

template <typename T>
void HadamardColumns(ThreadPool& pool, std::span<T> matrix, int64_t rows, int64_t cols,
                     HadamardDirection direction) {
  const Transform<T> transform(rows, direction);
  pool.ParallelFor((cols + kPanelCols - 1) / kPanelCols, [&](int, int64_t begin, int64_t end) {
    std::vector<T> panel(rows * kPanelCols);
    for (int64_t first = begin * kPanelCols; first < std::min(end * kPanelCols, cols);
         first += kPanelCols) {
      const int64_t width = std::min(kPanelCols, cols - first);
      for (int64_t row = 0; row < rows; ++row) {
        std::copy_n(matrix.data() + row * cols + first, width, panel.data() + row * width);
      }
      transform.Apply(panel.data(), width);
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
