#include "kernels/formats/int4/int4_strip.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/cpu/add_product.h"
#include "kernels/cpu/pieces.h"

namespace qtipd {
namespace {

// Columns between two matrix products; inside, feedback goes column by column. A multiple of every
// listed group size, so that groups begin in one block and end there.
constexpr int64_t kBlock = 128;
// AddProduct takes columns by sixteen.
constexpr int64_t kProductCols = 16;
constexpr int64_t kProductDepth = 4096;  // between two looks at the progress

}  // namespace

Int4StripEncoder::Int4StripEncoder(const Int4StripProblem& problem)
    : problem_(problem),
      cols_(problem.shape.in_features),
      grids_(kInt4StripRows),
      targets_(kInt4StripRows * kBlock),
      predicted_(kBlock) {}

uint64_t Int4StripEncoder::Bytes() {
  return kInt4StripRows * (kBlock * sizeof(float) + sizeof(Int4Grid)) + kBlock * sizeof(float);
}

absl::StatusOr<Int4Energy> Int4StripEncoder::Encode(int64_t first, std::span<float> weights) {
  first_ = first;
  Int4Energy energy;
  QTIPD_ASSIGN_OR_RETURN(energy.weights, EnergyOf(weights));
  if (problem_.spec.group_size == cols_) QTIPD_RETURN_IF_ERROR(ChooseRowGrids(weights));
  for (int64_t begin = 0; begin < cols_; begin += kBlock) {
    QTIPD_RETURN_IF_ERROR(CheckNotCancelled(*problem_.progress));
    QTIPD_ASSIGN_OR_RETURN(const double error,
                           EncodeBlock(begin, std::min(begin + kBlock, cols_), weights));
    energy.error += error;
  }
  if (problem_.factor != nullptr && !problem_.feeds_back) {
    QTIPD_ASSIGN_OR_RETURN(energy.error, EnergyOf(weights));
  }
  return energy;
}

absl::Status Int4StripEncoder::ChooseRowGrids(std::span<const float> weights) {
  for (size_t row = 0; row < weights.size() / cols_; ++row) {
    QTIPD_RETURN_IF_ERROR(CheckNotCancelled(*problem_.progress));
    QTIPD_RETURN_IF_ERROR(ChooseGrid(static_cast<int64_t>(row), 0,
                                     weights.subspan(row * cols_, static_cast<size_t>(cols_))));
  }
  return absl::OkStatus();
}

// Of the group that begins at `col`; into the result and grids_.
absl::Status Int4StripEncoder::ChooseGrid(int64_t row, int64_t col,
                                          std::span<const float> weights) {
  const std::optional<Int4Grid> grid = ChooseInt4Grid(problem_.grid, weights);
  const int64_t out = problem_.shape.out_features;
  const int64_t group = col / problem_.spec.group_size;
  const int64_t at = first_ + row;
  if (!grid) {
    return InvalidField(
        "WEIGHTS_OUT_OF_RANGE", "weights",
        absl::StrCat("weights of row ", at, " from column ", col, " on whose scale is beyond ",
                     std::string(DTypeName(problem_.spec.scale_dtype))),
        problem_.spec.scale_dtype == DType::kF16
            ? "magnitudes up to 450000; scale_dtype=bf16 goes farther"
            : "magnitudes up to 1e37");
  }
  grids_[row] = *grid;
  problem_.result->scales[group * out + at] = grid->scale_bits;
  if (!problem_.spec.is_symmetric) {
    const auto stored = static_cast<uint32_t>(grid->zero - problem_.spec.zero_offset);
    problem_.result->qzeros[group * (out / kInt4PerWord) + at / kInt4PerWord] |=
        stored << 4 * (at % kInt4PerWord);
  }
  return absl::OkStatus();
}

// targets_[:, 0 ..] += errors[:, 0 .. depth) U[0 .. depth), columns `begin` to `end`.
void Int4StripEncoder::AddFeedback(std::span<const float> errors, int64_t begin, int64_t end,
                                   int64_t depth) {
  // Columns beyond `end` make up sixteen: they read on in the next row of U, which there is as
  // depth < size, and their sums are not used.
  const int64_t cols = (end - begin + kProductCols - 1) / kProductCols * kProductCols;
  for (int64_t from = 0; from < depth; from += kProductDepth) {
    if (problem_.progress->IsCancelled()) return;  // the next look sees it too
    AddProduct({.rows = static_cast<int64_t>(errors.size()) / cols_,
                .cols = cols,
                .depth = std::min(kProductDepth, depth - from),
                .a = errors.data() + from,
                .a_stride = cols_,
                .b = problem_.factor->upper.data() + from * cols_ + begin,
                .b_stride = cols_,
                .c = targets_.data(),
                .c_stride = kBlock});
  }
}

// tr(A H A^T) of rows A [rows, cols_].
absl::StatusOr<double> Int4StripEncoder::EnergyOf(std::span<const float> rows) {
  const int64_t count = static_cast<int64_t>(rows.size()) / cols_;
  double energy = 0;
  for (int64_t begin = 0; begin < cols_; begin += kBlock) {
    QTIPD_RETURN_IF_ERROR(CheckNotCancelled(*problem_.progress));
    const int64_t end = std::min(begin + kBlock, cols_);
    for (int64_t row = 0; row < count; ++row) {
      std::copy_n(&rows[row * cols_ + begin], end - begin, &targets_[row * kBlock]);
    }
    // The last row of U that reaches these columns is the one before their end.
    if (problem_.factor != nullptr) AddFeedback(rows, begin, end, end - 1);
    for (int64_t row = 0; row < count; ++row) {
      for (int64_t col = begin; col < end; ++col) {
        const double pivot = problem_.factor == nullptr ? 1 : problem_.factor->pivots[col];
        const double value = pivot * targets_[row * kBlock + col - begin];
        energy += value * value;
      }
    }
  }
  return energy;
}

absl::StatusOr<double> Int4StripEncoder::EncodeBlock(int64_t begin, int64_t end,
                                                     std::span<float> weights) {
  const int64_t rows = static_cast<int64_t>(weights.size()) / cols_;
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(&weights[row * cols_ + begin], end - begin, &targets_[row * kBlock]);
  }
  if (problem_.feeds_back) {
    AddFeedback(weights, begin, end, begin);
    QTIPD_RETURN_IF_ERROR(CheckNotCancelled(*problem_.progress));
  }
  double energy = 0;
  for (int64_t row = 0; row < rows; ++row) {
    QTIPD_ASSIGN_OR_RETURN(const double error, EncodeRow(row, begin, end, &weights[row * cols_]));
    energy += error;
  }
  return energy;
}

// What the group of a row that begins at `col` will be aimed at, if none of it is rounded: the
// weights that GPTQ has there by then. `targets` are those of the group as the columns before it
// have fed them back.
std::span<const float> Int4StripEncoder::PredictTargets(int64_t col, const float* weights,
                                                        const float* targets) {
  const int64_t count = problem_.spec.group_size;
  std::copy_n(targets, count, predicted_.data());
  if (problem_.feeds_back) {
    for (int64_t i = 0; i < count; ++i) {
      const float* upper = problem_.factor->upper.data() + (col + i) * cols_ + col;
      const float moved = weights[col + i] - predicted_[i];
      for (int64_t next = i + 1; next < count; ++next) predicted_[next] += moved * upper[next];
    }
  }
  return std::span(predicted_).first(count);
}

// Columns `begin` to `end` of a row, whose `weights` become errors.
absl::StatusOr<double> Int4StripEncoder::EncodeRow(int64_t row, int64_t begin, int64_t end,
                                                   float* weights) {
  const int64_t group_size = problem_.spec.group_size;
  float* targets = &targets_[row * kBlock];  // of column `begin`
  uint32_t* words = problem_.result->qweight.data() + first_ + row;
  double energy = 0;
  for (int64_t col = begin; col < end; ++col) {
    if (group_size < cols_ && col % group_size == 0) {
      QTIPD_RETURN_IF_ERROR(
          ChooseGrid(row, col, PredictTargets(col, weights, targets + (col - begin))));
    }
    const Int4Grid& grid = grids_[row];
    const int code = grid.Code(targets[col - begin]);
    const float value = grid.Value(code);
    words[col / kInt4PerWord * problem_.shape.out_features] |= static_cast<uint32_t>(code)
                                                               << 4 * (col % kInt4PerWord);
    const float error = weights[col] - value;
    weights[col] = error;
    const double pivot = problem_.factor == nullptr ? 1 : problem_.factor->pivots[col];
    const double weighed = pivot * (targets[col - begin] - value);
    energy += weighed * weighed;
    if (!problem_.feeds_back) continue;
    const float* upper = problem_.factor->upper.data() + col * cols_;
    for (int64_t next = col + 1; next < end; ++next) targets[next - begin] += error * upper[next];
  }
  return energy;
}

}  // namespace qtipd
