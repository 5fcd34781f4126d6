#include "kernels/formats/qtip/qtip_ldlq.h"

#include <cblas.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"

// LAPACK, from OpenBLAS; column-major, `uplo` 'U' or 'L'.
extern "C" void dpotrf_(const char* uplo, const int* n, double* a, const int* lda, int* info);

namespace qtipd {
namespace {

constexpr int64_t kBlock = 16;
// Columns between two updates of everything to their left; inside, feedback goes block by block.
constexpr int64_t kGroup = 128;

// Replaces the lower triangle of a row-major matrix by its Cholesky factor.
absl::Status Cholesky(std::vector<double>& matrix, int64_t size) {
  const int n = static_cast<int>(size);
  int info = 0;
  // Row-major lower is column-major upper.
  dpotrf_("U", &n, matrix.data(), &n, &info);
  if (info == 0) return absl::OkStatus();
  return InvalidField(
      "HESSIAN_NOT_POSITIVE_DEFINITE", "hessian",
      absl::StrCat("a matrix whose leading minor ", info, " is not positive after regularisation"),
      "positive definite matrices; a larger sigma_reg may help");
}

// Solves y P = x for one row of 16, P the lower triangular pivot with row stride `stride`.
void SolveRow(const double* pivot, int64_t stride, const double* x, float* y) {
  double solved[kBlock];
  for (int64_t k = kBlock - 1; k >= 0; --k) {
    double sum = x[k];
    for (int64_t j = k + 1; j < kBlock; ++j) sum -= solved[j] * pivot[j * stride + k];
    solved[k] = sum / pivot[k * stride + k];
  }
  for (int64_t k = 0; k < kBlock; ++k) y[k] = static_cast<float>(solved[k]);
}

// |P_c C_c|^2 summed over rows and blocks, where `panel` [rows][blocks * 16] holds P.
double PivotEnergy(const float* pivots, const float* panel, int64_t rows, int64_t blocks) {
  double energy = 0;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t block = 0; block < blocks; ++block) {
      const float* p = panel + (row * blocks + block) * kBlock;
      const float* c = pivots + block * kBlock * kBlock;
      for (int64_t k = 0; k < kBlock; ++k) {
        double sum = 0;
        for (int64_t j = k; j < kBlock; ++j) sum += double{p[j]} * c[j * kBlock + k];
        energy += sum * sum;
      }
    }
  }
  return energy;
}

// c[rows, cols] = a[rows, depth] b[depth, cols] + beta c, row-major with row strides.
void Multiply(int64_t rows, int64_t cols, int64_t depth, const float* a, int64_t a_stride,
              const float* b, int64_t b_stride, float beta, float* c, int64_t c_stride) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(rows),
              static_cast<int>(cols), static_cast<int>(depth), 1.0f, a, static_cast<int>(a_stride),
              b, static_cast<int>(b_stride), beta, c, static_cast<int>(c_stride));
}

void CopyColumns(const float* from, int64_t from_stride, int64_t rows, int64_t cols, float* to) {
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(from + row * from_stride, cols, to + row * cols);
  }
}

}  // namespace

absl::StatusOr<BlockLdl> FactorBlockLdl(ThreadPool& pool, std::vector<double> hessian,
                                        int64_t size) {
  QTIPD_RETURN_IF_ERROR(Cholesky(hessian, size));
  BlockLdl factor{size, std::vector<float>(size * size), std::vector<float>(size * kBlock)};
  for (int64_t row = 0; row < size; ++row) {
    const int64_t first = row / kBlock * kBlock;
    for (int64_t k = 0; k <= row - first; ++k) {
      factor.pivots[row * kBlock + k] = static_cast<float>(hessian[row * size + first + k]);
    }
  }
  pool.ParallelFor(size, [&](int, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t col = 0; col + kBlock <= row / kBlock * kBlock; col += kBlock) {
        SolveRow(&hessian[col * size + col], size, &hessian[row * size + col],
                 &factor.lower[row * size + col]);
      }
    }
  });
  return factor;
}

absl::StatusOr<double> RunLdlq(const BlockLdl& factor, std::span<const float> weights, Shape shape,
                               const QuantizeColumns& quantize) {
  const int64_t m = shape.out_features;
  const int64_t n = shape.in_features;
  const float* lower = factor.lower.data();
  std::vector<float> error(m * n);  // weights - decoded, finished columns
  std::vector<float> feedback(m * std::min(kGroup, n));
  std::vector<float> target(m * kBlock);
  std::vector<float> decoded(m * kBlock);
  double energy = 0;
  for (int64_t group_end = n, group = 0; group_end > 0; group_end = group) {
    group = std::max<int64_t>(0, group_end - kGroup);
    const int64_t width = group_end - group;
    std::fill(feedback.begin(), feedback.end(), 0.0f);
    if (group_end < n) {
      Multiply(m, width, n - group_end, &error[group_end], n, lower + group_end * n + group, n, 0,
               feedback.data(), width);
    }
    for (int64_t col = group_end - kBlock; col >= group; col -= kBlock) {
      const int64_t done = col + kBlock;
      CopyColumns(&feedback[col - group], width, m, kBlock, target.data());
      if (done < group_end) {
        Multiply(m, kBlock, group_end - done, &error[done], n, lower + done * n + col, n, 1,
                 target.data(), kBlock);
      }
      for (int64_t i = 0; i < m * kBlock; ++i) {
        target[i] += weights[i / kBlock * n + col + i % kBlock];
      }
      QTIPD_RETURN_IF_ERROR(quantize(col / kBlock, target, decoded));
      for (int64_t i = 0; i < m * kBlock; ++i) {
        const int64_t element = i / kBlock * n + col + i % kBlock;
        error[element] = weights[element] - decoded[i];
        target[i] -= decoded[i];  // (E L)_c: what the pivot weighs
      }
      energy += PivotEnergy(&factor.pivots[col * kBlock], target.data(), m, 1);
    }
  }
  return energy;
}

double HessianEnergy(ThreadPool& pool, const BlockLdl& factor, std::span<const float> weights,
                     Shape shape) {
  const int64_t n = shape.in_features;
  std::vector<float> product(weights.begin(), weights.end());
  cblas_strmm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasUnit,
              static_cast<int>(shape.out_features), static_cast<int>(n), 1.0f, factor.lower.data(),
              static_cast<int>(n), product.data(), static_cast<int>(n));
  std::vector<double> rows(shape.out_features);
  pool.ParallelFor(shape.out_features, [&](int, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      rows[row] = PivotEnergy(factor.pivots.data(), &product[row * n], 1, n / kBlock);
    }
  });
  double energy = 0;
  for (double row : rows) energy += row;
  return energy;
}

}  // namespace qtipd
