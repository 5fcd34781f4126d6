// L follows from the Cholesky factor C by inverting its 16x16 diagonal blocks.
#include "kernels/formats/qtip/qtip_block_ldl.h"

#include <algorithm>
#include <array>

#include "kernels/api/status.h"
#include "kernels/cpu/cholesky.h"
#include "kernels/cpu/pieces.h"

namespace qtipd {
namespace {

constexpr int64_t kBlock = 16;

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
  QTIPD_RETURN_IF_ERROR(FactorCholesky(progress, hessian, size, "sigma_reg"));
  BlockLdl factor{.size = size, .lower = hessian, .pivots = {}};
  TakePivots(hessian, size, factor.pivots);
  std::vector<Square> inverses(size / kBlock);
  for (int64_t block = 0; block < size / kBlock; ++block) {
    inverses[block] = Invert(&factor.pivots[block * kBlock * kBlock]);
  }
  // L[:, b] = C[:, b] C[b, b]^-1.
  QTIPD_RETURN_IF_ERROR(
      ForPieces(pool, progress, size, PieceRows(size), [&](int64_t begin, int64_t end) {
        for (int64_t block = 0; block < end / kBlock; ++block) {
          for (int64_t row = std::max(begin, (block + 1) * kBlock); row < end; ++row) {
            MultiplyRow(inverses[block], &hessian[row * size + block * kBlock]);
          }
        }
      }));
  return factor;
}

uint64_t QtipFactorBytes(int64_t size) {
  const uint64_t pivots = (sizeof(double) + sizeof(float)) * kBlock * static_cast<uint64_t>(size);
  return CholeskyScratchBytes() + pivots;
}

}  // namespace qtipd
