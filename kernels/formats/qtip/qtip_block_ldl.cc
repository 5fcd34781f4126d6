// Left-looking blocked Cholesky: C is kept as fp32 where H was, and every panel of kPanelCols
// columns is brought up to date and factored in double precision, so that a rounding to fp32 is all
// that C loses. A panel is worked on kPanelRows rows at a time, so that neither the scratch memory
// nor what lies between two looks at `progress` grows with the matrix. L follows from C by
// inverting its 16x16 diagonal blocks.
#include "kernels/formats/qtip/qtip_block_ldl.h"

#include <cblas.h>

#include <algorithm>
#include <array>
#include <string>

#include "absl/strings/str_cat.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/formats/qtip/qtip_pieces.h"

// LAPACK, from OpenBLAS; column-major, `uplo` 'U' or 'L'.
extern "C" void dpotrf_(const char* uplo, const int* n, double* a, const int* lda, int* info);

namespace qtipd {
namespace {

constexpr int64_t kBlock = 16;
constexpr int64_t kPanelCols = 512;
constexpr int64_t kPanelRows = 2048;
constexpr int64_t kDepth = 512;  // columns of C that are widened at a time
static_assert(2 * kPanelRows * kPanelCols * kDepth <= kQtipPieceProducts, "doubles");

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
  Cholesky(const Progress& progress, float* matrix, int64_t size)
      : progress_(progress),
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
      return InvalidField("HESSIAN_NOT_POSITIVE_DEFINITE", "hessian",
                          absl::StrCat("a matrix whose leading minor ", first + info,
                                       " is not positive after regularisation"),
                          "positive definite matrices; a larger sigma_reg may help");
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
  float* const matrix_;
  const int64_t size_;
  std::vector<double> rows_;      // [kPanelRows, panel columns]: rows of the panel in work
  std::vector<double> left_;      // [kPanelRows, kDepth] of C, beside these
  std::vector<double> top_;       // [panel columns, kDepth] of C, beside the diagonal block
  std::vector<double> diagonal_;  // the panel's diagonal block of C
};

// [16][16], zero above the diagonal.
using Square = std::array<double, kBlock * kBlock>;

// The inverse of a lower triangular block, by forward substitution.
Square Invert(const float* pivot) {
  Square inverse{};
  for (int64_t col = 0; col < kBlock; ++col) {
    for (int64_t row = col; row < kBlock; ++row) {
      double sum = row == col ? 1 : 0;
      for (int64_t j = col; j < row; ++j) {
        sum -= double{pivot[row * kBlock + j]} * inverse[j * kBlock + col];
      }
      inverse[row * kBlock + col] = sum / pivot[row * kBlock + row];
    }
  }
  return inverse;
}

// values[16] <- values inverse, in place.
void MultiplyRow(const Square& inverse, float* values) {
  std::array<double, kBlock> sums{};
  for (int64_t j = 0; j < kBlock; ++j) {
    const double value = values[j];
    for (int64_t k = 0; k < kBlock; ++k) sums[k] += value * inverse[j * kBlock + k];
  }
  for (int64_t k = 0; k < kBlock; ++k) values[k] = static_cast<float>(sums[k]);
}

// Moves the diagonal blocks of C to `pivots` and leaves zeros.
void TakePivots(std::span<float> matrix, int64_t size, std::vector<float>& pivots) {
  pivots.assign(size * kBlock, 0.0f);
  for (int64_t row = 0; row < size; ++row) {
    const int64_t first = row / kBlock * kBlock;
    float* values = &matrix[row * size + first];
    std::copy_n(values, row - first + 1, &pivots[row * kBlock]);
    std::fill_n(values, kBlock, 0.0f);
  }
}

}  // namespace

absl::StatusOr<BlockLdl> FactorBlockLdl(ThreadPool& pool, const Progress& progress,
                                        std::span<float> hessian, int64_t size) {
  QTIPD_RETURN_IF_ERROR(Cholesky(progress, hessian.data(), size).Run());
  BlockLdl factor{.size = size, .lower = hessian, .pivots = {}};
  TakePivots(hessian, size, factor.pivots);
  std::vector<Square> inverses(size / kBlock);
  for (int64_t block = 0; block < size / kBlock; ++block) {
    inverses[block] = Invert(&factor.pivots[block * kBlock * kBlock]);
  }
  // L[:, b] = C[:, b] C[b, b]^-1.
  QTIPD_RETURN_IF_ERROR(
      ForPieces(pool, progress, size, QtipPieceRows(size), [&](int64_t begin, int64_t end) {
        for (int64_t block = 0; block < end / kBlock; ++block) {
          for (int64_t row = std::max(begin, (block + 1) * kBlock); row < end; ++row) {
            MultiplyRow(inverses[block], &hessian[row * size + block * kBlock]);
          }
        }
      }));
  return factor;
}

uint64_t QtipFactorBytes(int64_t size) {
  const uint64_t doubles = 2 * kPanelRows * kPanelCols + kPanelCols * (kDepth + kPanelCols);
  const uint64_t pivots = (sizeof(double) + sizeof(float)) * kBlock * static_cast<uint64_t>(size);
  return sizeof(double) * doubles + pivots;
}

}  // namespace qtipd
