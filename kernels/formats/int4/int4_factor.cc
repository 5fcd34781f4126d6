#include "kernels/formats/int4/int4_factor.h"

#include <algorithm>
#include <utility>

#include "kernels/api/status.h"
#include "kernels/cpu/cholesky.h"
#include "kernels/cpu/pieces.h"

namespace qtipd {
namespace {

void Damp(std::span<float> hessian, int64_t size, double damping) {
  double mean = 0;
  for (int64_t i = 0; i < size; ++i) mean += hessian[i * size + i];
  mean /= static_cast<double>(size);
  for (int64_t i = 0; i < size; ++i) {
    float& diagonal = hessian[i * size + i];
    diagonal = static_cast<float>(diagonal + damping * mean);
  }
}

// Rows and columns in opposite order: all elements in opposite order.
absl::Status Reverse(ThreadPool& pool, const Progress& progress, std::span<float> matrix) {
  const auto count = static_cast<int64_t>(matrix.size());
  return ForPieces(pool, progress, count / 2, kPieceElements, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) std::swap(matrix[i], matrix[count - 1 - i]);
  });
}

}  // namespace

absl::StatusOr<Int4Factor> FactorInt4Hessian(ThreadPool& pool, const Progress& progress,
                                             std::span<float> hessian, int64_t size,
                                             double damping) {
  Damp(hessian, size, damping);
  // C C^T = H in opposite order is M M^T = H with M upper triangular.
  QTIPD_RETURN_IF_ERROR(Reverse(pool, progress, hessian));
  QTIPD_RETURN_IF_ERROR(FactorCholesky(progress, hessian, size, "damping"));
  QTIPD_RETURN_IF_ERROR(Reverse(pool, progress, hessian));
  Int4Factor factor{.size = size, .upper = hessian, .pivots = std::vector<float>(size)};
  for (int64_t i = 0; i < size; ++i) factor.pivots[i] = hessian[i * size + i];
  QTIPD_RETURN_IF_ERROR(
      ForPieces(pool, progress, size, PieceRows(size), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          float* values = &hessian[row * size];
          std::fill_n(values, row + 1, 0.0F);
          for (int64_t col = row + 1; col < size; ++col) values[col] /= factor.pivots[col];
        }
      }));
  return factor;
}

uint64_t Int4FactorBytes(int64_t size) {
  return CholeskyScratchBytes() + sizeof(float) * static_cast<uint64_t>(size);
}

}  // namespace qtipd
