#include "kernels/cpu/hessian.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/cpu/pieces.h"

namespace qtipd {
namespace {

// A Hessian is a sum of outer products: entries that mirror each other differ by rounding alone.
bool AreMirrored(float a, float b, double mean_diagonal) {
  const double tolerance = 1e-3 * std::max(std::abs(a), std::abs(b)) + 1e-6 * mean_diagonal;
  return std::isfinite(a) && std::isfinite(b) && std::abs(double{a} - b) <= tolerance;
}

// Side of the squares in which a matrix is compared with its transpose, so that both lie in cache;
// and columns between two looks at the progress.
constexpr int64_t kMirrorBlock = 64;
constexpr int64_t kMirrorPiece = 1024;

// The square at (row, col) of a matrix [n, n], on or below the diagonal, against its mirror.
absl::Status CheckMirrored(std::span<const float> hessian, int64_t n, int64_t row, int64_t col,
                           double mean_diagonal) {
  for (int64_t i = row; i < std::min(row + kMirrorBlock, n); ++i) {
    for (int64_t j = col; j < std::min(col + kMirrorBlock, i + 1); ++j) {
      const float a = hessian[i * n + j];
      const float b = hessian[j * n + i];
      if (AreMirrored(a, b, mean_diagonal)) continue;
      return InvalidField("HESSIAN_NOT_SYMMETRIC", "hessian",
                          absl::StrCat(a, " at [", i, ", ", j, "] and ", b, " at its mirror"),
                          "finite symmetric matrices");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckHessian(std::span<const float> hessian, int64_t in_features,
                          const Progress& progress) {
  if (hessian.empty()) return absl::OkStatus();
  const int64_t n = in_features;
  if (static_cast<int64_t>(hessian.size()) != n * n) {
    return InvalidField("HESSIAN_SHAPE_INVALID", "hessian",
                        absl::StrCat(hessian.size(), " elements"),
                        absl::StrCat(n * n, " elements, in_features squared"));
  }
  double diagonal = 0;
  for (int64_t i = 0; i < n; ++i) diagonal += std::abs(hessian[i * n + i]);
  for (int64_t row = 0; row < n; row += kMirrorBlock) {
    for (int64_t col = 0; col <= row; col += kMirrorBlock) {
      if (col % kMirrorPiece == 0) QTIPD_RETURN_IF_ERROR(CheckNotCancelled(progress));
      QTIPD_RETURN_IF_ERROR(CheckMirrored(hessian, n, row, col, diagonal / static_cast<double>(n)));
    }
  }
  return absl::OkStatus();
}

}  // namespace qtipd
