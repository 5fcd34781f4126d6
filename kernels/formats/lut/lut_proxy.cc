#include "kernels/formats/lut/lut_proxy.h"

#include <algorithm>
#include <vector>

#include "kernels/api/status.h"
#include "kernels/cpu/add_product.h"
#include "kernels/cpu/pieces.h"

namespace qtipd {
namespace {

// Rows and columns of M H that are made at once: the part of H stays in the second-level cache
// while the rows go past it.
constexpr int64_t kRows = 64;
constexpr int64_t kCols = 128;

// Of rows [begin, end), added to sums[begin, end).
void AddRows(Shape shape, const float* matrix, const float* hessian, int64_t begin, int64_t end,
             std::span<float> product, double* sums) {
  const int64_t n = shape.in_features;
  for (int64_t col = 0; col < n; col += kCols) {
    const int64_t cols = std::min(kCols, n - col);
    std::ranges::fill(product, 0.0f);
    AddProduct({.rows = end - begin,
                .cols = cols,
                .depth = n,
                .a = matrix + begin * n,
                .a_stride = n,
                .b = hessian + col,
                .b_stride = n,
                .c = product.data(),
                .c_stride = kCols});
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t i = 0; i < cols; ++i) {
        sums[row] += double{product[(row - begin) * kCols + i]} * matrix[row * n + col + i];
      }
    }
  }
}

// Rows that one thread does between two looks at the progress.
int64_t PieceOf(Shape shape) {
  return std::clamp<int64_t>(kPieceProducts / (shape.in_features * shape.in_features), 1, kRows);
}

}  // namespace

absl::StatusOr<double> LutQuadraticForm(ThreadPool& pool, const Progress& progress, Shape shape,
                                        std::span<const float> matrix,
                                        std::span<const float> hessian) {
  std::vector<std::vector<float>> products(pool.threads(), std::vector<float>(kRows * kCols));
  std::vector<double> sums(shape.out_features);
  QTIPD_RETURN_IF_ERROR(ForPieces(pool, pool.threads(), progress, shape.out_features,
                                  PieceOf(shape), [&](int slot, int64_t begin, int64_t end) {
                                    AddRows(shape, matrix.data(), hessian.data(), begin, end,
                                            products[slot], sums.data());
                                  }));
  double sum = 0;
  for (const double row : sums) sum += row;
  return sum;
}

uint64_t LutQuadraticFormBytes(Shape shape, int threads) {
  return threads * kRows * kCols * sizeof(float) + shape.out_features * sizeof(double);
}

}  // namespace qtipd
