#include "kernels/formats/qtip/qtip_ldlq.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "kernels/api/status.h"
#include "kernels/cpu/add_product.h"
#include "kernels/cpu/pieces.h"

namespace qtipd {
namespace {

constexpr int64_t kBlock = 16;
// Columns between two updates of everything to their left; inside, feedback goes block by block.
constexpr int64_t kGroup = 128;
// Rows of the factor between two looks at the progress.
constexpr int64_t kProductDepth = 1024;

// |p C|^2 of 16 elements, C lower triangular.
double PivotEnergy(const float* pivot, const float* p) {
  double energy = 0;
  for (int64_t k = 0; k < kBlock; ++k) {
    double sum = 0;
    for (int64_t j = k; j < kBlock; ++j) sum += double{p[j]} * pivot[j * kBlock + k];
    energy += sum * sum;
  }
  return energy;
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

  absl::StatusOr<LdlqEnergies> Run() {
    // With nothing decoded the error is W itself.
    QTIPD_ASSIGN_OR_RETURN(const double weights, Sweep([](const LdlqBlock&, std::span<const float>,
                                                          std::span<float> decoded) {
                             std::ranges::fill(decoded, 0.0f);
                             return absl::OkStatus();
                           }));
    QTIPD_ASSIGN_OR_RETURN(const double error, Sweep(quantize_));
    return LdlqEnergies{.error = error, .weights = weights};
  }

 private:
  // Takes the strip through all columns, leaves E = W - decoded and returns tr(E H E^T).
  absl::StatusOr<double> Sweep(const QuantizeColumns& quantize) {
    double energy = 0;
    for (int64_t end = cols_, begin = 0; end > 0; end = begin) {
      begin = std::max<int64_t>(0, end - kGroup);
      QTIPD_RETURN_IF_ERROR(FeedBack(begin, end));
      for (int64_t col = end - kBlock; col >= begin; col -= kBlock) {
        QTIPD_RETURN_IF_ERROR(CheckNotCancelled(progress_));
        Aim(col, begin, end);
        at_.block = col / kBlock;
        QTIPD_RETURN_IF_ERROR(quantize(at_, target_, decoded_));
        energy += Finish(col);
      }
    }
    return energy;
  }

  const float* Lower(int64_t row, int64_t col) const {
    return factor_.lower.data() + row * cols_ + col;
  }

  // feedback_ = E[:, end..] L[end.., begin..end), from the groups that are done.
  absl::Status FeedBack(int64_t begin, int64_t end) {
    std::ranges::fill(feedback_, 0.0f);
    for (int64_t first = end; first < cols_; first += kProductDepth) {
      QTIPD_RETURN_IF_ERROR(CheckNotCancelled(progress_));
      AddProduct({.rows = rows_,
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
    AddProduct({.rows = rows_,
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
      energy += PivotEnergy(&factor_.pivots[col * kBlock], target);
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

}  // namespace

absl::StatusOr<LdlqEnergies> RunLdlq(ThreadPool& pool, const LdlqStrips& strips,
                                     const Progress& progress, const BlockLdl& factor,
                                     std::span<float> weights, Shape shape,
                                     const QuantizeColumns& quantize) {
  const int64_t count = (shape.out_features + strips.rows - 1) / strips.rows;
  std::vector<absl::StatusOr<LdlqEnergies>> energies(count, LdlqEnergies{});
  std::atomic<bool> has_failed = false;
  QTIPD_RETURN_IF_ERROR(ForPieces(
      pool, strips.slots, progress, shape.out_features, strips.rows,
      [&](int slot, int64_t begin, int64_t end) {
        if (has_failed) return;
        const int64_t cols = shape.in_features;
        absl::StatusOr<LdlqEnergies>& energy = energies[begin / strips.rows];
        energy = Ldlq(progress, factor, weights.subspan(begin * cols, (end - begin) * cols),
                      {.slot = slot, .first_row = begin, .block = 0}, quantize)
                     .Run();
        if (!energy.ok()) has_failed = true;
      }));
  LdlqEnergies sum;
  for (const absl::StatusOr<LdlqEnergies>& energy : energies) {
    QTIPD_RETURN_IF_ERROR(energy.status());
    sum.error += energy->error;
    sum.weights += energy->weights;
  }
  return sum;
}

uint64_t QtipLdlqBytes(Shape shape, const LdlqStrips& strips) {
  const int64_t floats = std::min(kGroup, shape.in_features) + 2 * kBlock;
  const int64_t count = (shape.out_features + strips.rows - 1) / strips.rows;
  return strips.slots * strips.rows * floats * sizeof(float) +
         count * sizeof(absl::StatusOr<LdlqEnergies>);
}

}  // namespace qtipd
