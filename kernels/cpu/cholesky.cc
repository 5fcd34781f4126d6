// Left-looking blocked Cholesky: C is kept as fp32 where the matrix was, and every panel of
// kPanelCols columns is brought up to date and factored in double precision, so that a rounding to
// fp32 is all that C loses. A panel is worked on kPanelRows rows at a time, so that neither the
// scratch memory nor what lies between two looks at `progress` grows with the matrix.
#include "kernels/cpu/cholesky.h"

#include <cblas.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/cpu/pieces.h"

// LAPACK, from OpenBLAS; column-major, `uplo` 'U' or 'L'.
extern "C" void dpotrf_(const char* uplo, const int* n, double* a, const int* lda, int* info);

namespace qtipd {
namespace {

constexpr int64_t kPanelCols = 512;
constexpr int64_t kPanelRows = 2048;
constexpr int64_t kDepth = 512;  // columns of C that are widened at a time
static_assert(2 * kPanelRows * kPanelCols * kDepth <= kPieceProducts, "doubles");

// Rows [rows, cols] of a matrix with row stride `stride` to and from contiguous doubles.
void Widen(const float* from, int64_t stride, int64_t rows, int64_t cols, double* to) {
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(from + row * stride, cols, to + row * cols);
  }
}

void Narrow(const double* from, int64_t rows, int64_t cols, float* to, int64_t stride) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t col = 0; col < cols; ++col) {
      to[row * stride + col] = static_cast<float>(from[row * cols + col]);
    }
  }
}

// The lower triangle of a symmetric matrix becomes its Cholesky factor.
class Cholesky {
 public:
  Cholesky(const Progress& progress, float* matrix, int64_t size, std::string_view remedy)
      : progress_(progress),
        remedy_(remedy),
        matrix_(matrix),
        size_(size),
        rows_(std::min(kPanelRows, size) * std::min(kPanelCols, size)),
        left_(std::min(kPanelRows, size) * std::min(kDepth, size)),
        top_(std::min(kPanelCols, size) * std::min(kDepth, size)),
        diagonal_(std::min(kPanelCols, size) * std::min(kPanelCols, size)) {}

  absl::Status Run() {
    for (int64_t first = 0; first < size_; first += kPanelCols) {
      const int64_t cols = std::min(kPanelCols, size_ - first);
      QTIPD_RETURN_IF_ERROR(FactorDiagonal(first, cols));
      for (int64_t row = first + cols; row < size_; row += kPanelRows) {
        QTIPD_RETURN_IF_ERROR(SolveRows(first, cols, row, std::min(kPanelRows, size_ - row)));
      }
    }
    return absl::OkStatus();
  }

 private:
  float* At(int64_t row, int64_t col) const { return matrix_ + row * size_ + col; }

  // rows_ = H[row.., panel] - C[row.., :first] C[panel, :first]^T for `rows` rows of the panel of
  // `cols` columns that begins at `first`.
  absl::Status BringUpToDate(int64_t first, int64_t cols, int64_t row, int64_t rows) {
    Widen(At(row, first), size_, rows, cols, rows_.data());
    for (int64_t begin = 0; begin < first; begin += kDepth) {
      QTIPD_RETURN_IF_ERROR(CheckNotCancelled(progress_));
      const int64_t depth = std::min(kDepth, first - begin);
      Widen(At(first, begin), size_, cols, depth, top_.data());
      const double* left = top_.data();
      if (row != first) {
        Widen(At(row, begin), size_, rows, depth, left_.data());
        left = left_.data();
      }
      cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(rows),
                  static_cast<int>(cols), static_cast<int>(depth), -1.0, left,
                  static_cast<int>(depth), top_.data(), static_cast<int>(depth), 1.0, rows_.data(),
                  static_cast<int>(cols));
    }
    return CheckNotCancelled(progress_);
  }

  absl::Status FactorDiagonal(int64_t first, int64_t cols) {
    QTIPD_RETURN_IF_ERROR(BringUpToDate(first, cols, first, cols));
    const int n = static_cast<int>(cols);
    int info = 0;
    // Row-major lower is column-major upper.
    dpotrf_("U", &n, rows_.data(), &n, &info);
    if (info != 0) {
      return InvalidField(
          "HESSIAN_NOT_POSITIVE_DEFINITE", "hessian",
          absl::StrCat("a matrix whose leading minor ", first + info,
                       " is not positive after regularisation"),
          absl::StrCat("positive definite matrices; a larger ", std::string(remedy_), " may help"));
    }
    std::copy_n(rows_.data(), cols * cols, diagonal_.data());
    Narrow(rows_.data(), cols, cols, At(first, first), size_);
    return absl::OkStatus();
  }

  // C[row.., panel] from what the panel's diagonal block C_p leaves: X C_p^T = rows_.
  absl::Status SolveRows(int64_t first, int64_t cols, int64_t row, int64_t rows) {
    QTIPD_RETURN_IF_ERROR(BringUpToDate(first, cols, row, rows));
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit,
                static_cast<int>(rows), static_cast<int>(cols), 1.0, diagonal_.data(),
                static_cast<int>(cols), rows_.data(), static_cast<int>(cols));
    Narrow(rows_.data(), rows, cols, At(row, first), size_);
    return absl::OkStatus();
  }

  const Progress& progress_;
  const std::string_view remedy_;
  float* const matrix_;
  const int64_t size_;
  std::vector<double> rows_;      // [kPanelRows, panel columns]: rows of the panel in work
  std::vector<double> left_;      // [kPanelRows, kDepth] of C, beside these
  std::vector<double> top_;       // [panel columns, kDepth] of C, beside the diagonal block
  std::vector<double> diagonal_;  // the panel's diagonal block of C
};

}  // namespace

absl::Status FactorCholesky(const Progress& progress, std::span<float> matrix, int64_t size,
                            std::string_view remedy) {
  return Cholesky(progress, matrix.data(), size, remedy).Run();
}

uint64_t CholeskyScratchBytes() {
  const uint64_t doubles = 2 * kPanelRows * kPanelCols + kPanelCols * (kDepth + kPanelCols);
  return sizeof(double) * doubles;
}

}  // namespace qtipd
