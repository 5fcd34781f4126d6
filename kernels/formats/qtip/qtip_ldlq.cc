#include "kernels/formats/qtip/qtip_ldlq.h"

#include <cblas.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "kernels/api/status.h"
#include "kernels/formats/qtip/qtip_feedback_simd.h"
#include "kernels/formats/qtip/qtip_pieces.h"

namespace qtipd {
namespace {

constexpr int64_t kBlock = 16;
// Columns between two updates of everything to their left; inside, feedback goes block by block.
constexpr int64_t kGroup = 128;
// Columns of W L that are computed at a time.
constexpr int64_t kEnergyCols = 512;
// Parts of a matrix product between two looks at the progress.
constexpr int64_t kProductRows = 2048;
constexpr int64_t kProductDepth = 1024;
static_assert(kProductRows * kProductDepth * kEnergyCols <= kQtipPieceProducts);

// Multiplications an element, about, of PivotEnergy.
constexpr int64_t kEnergyProducts = 16;

// |P_c C_c|^2 summed over blocks, where `row` [blocks * 16] holds P.
double PivotEnergy(const float* pivots, const float* row, int64_t blocks) {
  double energy = 0;
  for (int64_t block = 0; block < blocks; ++block) {
    const float* p = row + block * kBlock;
    const float* c = pivots + block * kBlock * kBlock;
    for (int64_t k = 0; k < kBlock; ++k) {
      double sum = 0;
      for (int64_t j = k; j < kBlock; ++j) sum += double{p[j]} * c[j * kBlock + k];
      energy += sum * sum;
    }
  }
  return energy;
}

// A factor or the result of a product: row-major with a row stride.
template <typename T>
struct Strided {
  T* data;
  int64_t stride;
};

// c[rows, cols] = a[rows, depth] b[depth, cols] + beta c, cols at most kEnergyCols.
absl::Status Multiply(const Progress& progress, int64_t rows, int64_t cols, int64_t depth,
                      Strided<const float> a, Strided<const float> b, float beta,
                      Strided<float> c) {
  for (int64_t row = 0; row < rows; row += kProductRows) {
    for (int64_t begin = 0; begin < depth; begin += kProductDepth) {
      QTIPD_RETURN_IF_ERROR(CheckNotCancelled(progress));
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans,
                  static_cast<int>(std::min(kProductRows, rows - row)), static_cast<int>(cols),
                  static_cast<int>(std::min(kProductDepth, depth - begin)), 1.0f,
                  a.data + row * a.stride + begin, static_cast<int>(a.stride),
                  b.data + begin * b.stride, static_cast<int>(b.stride), begin == 0 ? beta : 1.0f,
                  c.data + row * c.stride, static_cast<int>(c.stride));
    }
  }
  return absl::OkStatus();
}

// LDLQ of one strip of rows, on the calling thread.
class Ldlq {
 public:
  Ldlq(const Progress& progress, const BlockLdl& factor, std::span<float> weights, LdlqBlock at,
       const QuantizeColumns& quantize)
      : progress_(progress),
        factor_(factor),
        weights_(weights),
        cols_(factor.size),
        rows_(static_cast<int64_t>(weights.size()) / cols_),
        at_(at),
        quantize_(quantize),
        feedback_(rows_ * std::min(kGroup, cols_)),
        target_(rows_ * kBlock),
        decoded_(rows_ * kBlock) {}

  absl::StatusOr<double> Run() {
    double energy = 0;
    for (int64_t end = cols_, begin = 0; end > 0; end = begin) {
      begin = std::max<int64_t>(0, end - kGroup);
      QTIPD_RETURN_IF_ERROR(FeedBack(begin, end));
      for (int64_t col = end - kBlock; col >= begin; col -= kBlock) {
        QTIPD_RETURN_IF_ERROR(CheckNotCancelled(progress_));
        Aim(col, begin, end);
        at_.block = col / kBlock;
        QTIPD_RETURN_IF_ERROR(quantize_(at_, target_, decoded_));
        energy += Finish(col);
      }
    }
    return energy;
  }

 private:
  const float* Lower(int64_t row, int64_t col) const {
    return factor_.lower.data() + row * cols_ + col;
  }

  // feedback_ = E[:, end..] L[end.., begin..end), from the groups that are done.
  absl::Status FeedBack(int64_t begin, int64_t end) {
    std::ranges::fill(feedback_, 0.0f);
    for (int64_t first = end; first < cols_; first += kProductDepth) {
      QTIPD_RETURN_IF_ERROR(CheckNotCancelled(progress_));
      QtipAddFeedback({.rows = rows_,
                       .cols = end - begin,
                       .depth = std::min(kProductDepth, cols_ - first),
                       .a = &weights_[first],
                       .a_stride = cols_,
                       .b = Lower(first, begin),
                       .b_stride = cols_,
                       .c = feedback_.data(),
                       .c_stride = end - begin});
    }
    return absl::OkStatus();
  }

  // target_ = W + all feedback for the block of columns at `col` of the group [begin, end).
  void Aim(int64_t col, int64_t begin, int64_t end) {
    const int64_t width = end - begin;
    for (int64_t row = 0; row < rows_; ++row) {
      const float* feedback = &feedback_[row * width + col - begin];
      const float* weights = &weights_[row * cols_ + col];
      for (int64_t i = 0; i < kBlock; ++i) target_[row * kBlock + i] = feedback[i] + weights[i];
    }
    const int64_t done = col + kBlock;
    if (done == end) return;
    QtipAddFeedback({.rows = rows_,
                     .cols = kBlock,
                     .depth = end - done,
                     .a = &weights_[done],
                     .a_stride = cols_,
                     .b = Lower(done, col),
                     .b_stride = cols_,
                     .c = target_.data(),
                     .c_stride = kBlock});
  }

  // Leaves the error of a block that has been quantized and returns its energy.
  double Finish(int64_t col) {
    double energy = 0;
    for (int64_t row = 0; row < rows_; ++row) {
      float* weights = &weights_[row * cols_ + col];
      float* target = &target_[row * kBlock];
      for (int64_t i = 0; i < kBlock; ++i) {
        weights[i] -= decoded_[row * kBlock + i];
        target[i] -= decoded_[row * kBlock + i];  // (E L)_c: what the pivot weighs
      }
      energy += PivotEnergy(&factor_.pivots[col * kBlock], target, 1);
    }
    return energy;
  }

  const Progress& progress_;
  const BlockLdl& factor_;
  const std::span<float> weights_;  // where a block is done, its error
  const int64_t cols_;
  const int64_t rows_;
  LdlqBlock at_;
  const QuantizeColumns& quantize_;
  std::vector<float> feedback_;  // [rows, group columns]
  std::vector<float> target_;    // [rows, 16]
  std::vector<float> decoded_;   // [rows, 16]
};

// Rows of W L that are held at a time: enough for L, which is read once for them, to be worth it.
int64_t EnergyRows(Shape shape) {
  const int64_t rows = std::max<int64_t>(128, (int64_t{1} << 23) / shape.in_features);
  return std::min({rows, kProductRows, shape.out_features});
}

// product[rows, cols] = a L, where a [rows, cols] and product have a row stride of cols.
absl::Status MultiplyByLower(const Progress& progress, const BlockLdl& factor, const float* a,
                             int64_t rows, float* product) {
  const int64_t n = factor.size;
  for (int64_t begin = 0; begin < n; begin += kEnergyCols) {
    const int64_t end = std::min(begin + kEnergyCols, n);
    const auto width = static_cast<int>(end - begin);
    const float* lower = factor.lower.data() + begin;
    for (int64_t row = 0; row < rows; ++row) {
      std::copy_n(a + row * n + begin, width, product + row * n + begin);
    }
    cblas_strmm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasUnit,
                static_cast<int>(rows), width, 1.0f, lower + begin * n, static_cast<int>(n),
                product + begin, static_cast<int>(n));
    QTIPD_RETURN_IF_ERROR(Multiply(progress, rows, width, n - end, {a + end, n},
                                   {lower + end * n, n}, 1, {product + begin, n}));
    QTIPD_RETURN_IF_ERROR(CheckNotCancelled(progress));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<double> RunLdlq(ThreadPool& pool, const LdlqStrips& strips, const Progress& progress,
                               const BlockLdl& factor, std::span<float> weights, Shape shape,
                               const QuantizeColumns& quantize) {
  const int64_t count = (shape.out_features + strips.rows - 1) / strips.rows;
  std::vector<absl::StatusOr<double>> energies(count, 0.0);
  std::atomic<bool> has_failed = false;
  QTIPD_RETURN_IF_ERROR(ForPieces(
      pool, strips.slots, progress, shape.out_features, strips.rows,
      [&](int slot, int64_t begin, int64_t end) {
        if (has_failed) return;
        const int64_t cols = shape.in_features;
        absl::StatusOr<double>& energy = energies[begin / strips.rows];
        energy = Ldlq(progress, factor, weights.subspan(begin * cols, (end - begin) * cols),
                      {.slot = slot, .first_row = begin, .block = 0}, quantize)
                     .Run();
        if (!energy.ok()) has_failed = true;
      }));
  double sum = 0;
  for (const absl::StatusOr<double>& energy : energies) {
    QTIPD_RETURN_IF_ERROR(energy.status());
    sum += *energy;
  }
  return sum;
}

absl::StatusOr<double> HessianEnergy(ThreadPool& pool, const Progress& progress,
                                     const BlockLdl& factor, std::span<const float> weights,
                                     Shape shape) {
  const int64_t n = shape.in_features;
  const int64_t chunk = EnergyRows(shape);
  std::vector<float> product(chunk * n);
  std::vector<double> energies(chunk);
  double energy = 0;
  for (int64_t first = 0; first < shape.out_features; first += chunk) {
    const int64_t rows = std::min(chunk, shape.out_features - first);
    QTIPD_RETURN_IF_ERROR(
        MultiplyByLower(progress, factor, weights.data() + first * n, rows, product.data()));
    QTIPD_RETURN_IF_ERROR(ForPieces(
        pool, progress, rows, QtipPieceRows(n * kEnergyProducts), [&](int64_t begin, int64_t end) {
          for (int64_t row = begin; row < end; ++row) {
            energies[row] = PivotEnergy(factor.pivots.data(), &product[row * n], n / kBlock);
          }
        }));
    for (int64_t row = 0; row < rows; ++row) energy += energies[row];
  }
  return energy;
}

uint64_t QtipLdlqBytes(Shape shape, const LdlqStrips& strips) {
  const int64_t floats = std::min(kGroup, shape.in_features) + 2 * kBlock;
  const int64_t count = (shape.out_features + strips.rows - 1) / strips.rows;
  return strips.slots * strips.rows * floats * sizeof(float) + count * sizeof(double) * 2;
}

uint64_t QtipEnergyBytes(Shape shape) {
  return EnergyRows(shape) * (sizeof(float) * shape.in_features + sizeof(double));
}

}  // namespace qtipd
