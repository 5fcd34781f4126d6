// Encodes some rows of a layer on the calling thread.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_STRIP_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_STRIP_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"
#include "kernels/formats/int4/int4_factor.h"
#include "kernels/formats/int4/int4_grid.h"

namespace qtipd {

// Rows of a strip, a multiple of 8; enough that the factor is read seldom.
inline constexpr int64_t kInt4StripRows = 128;

// The tensors of an artefact in the making, their words zero at first.
struct Int4Result {
  std::vector<uint32_t> qweight;
  std::vector<uint32_t> qzeros;  // empty where symmetric
  std::vector<uint16_t> scales;
};

// What all strips share.
struct Int4StripProblem {
  const Progress* progress = nullptr;
  Shape shape;
  Int4Spec spec;
  Int4GridSpec grid;
  const Int4Factor* factor = nullptr;  // null: H = I
  bool feeds_back = false;             // needs a factor
  Int4Result* result = nullptr;
};

// tr(E H E^T) and tr(W H W^T) of some rows.
struct Int4Energy {
  double error = 0;
  double weights = 0;
};

// Encodes rows; holds what one thread needs for it.
class Int4StripEncoder {
 public:
  explicit Int4StripEncoder(const Int4StripProblem& problem);

  // Encodes rows `first` to `first` + weights.size() / in_features - 1, at most kInt4StripRows and
  // both bounds multiples of 8, into the result; `weights` [rows, in_features] become their
  // errors. Errors: WEIGHTS_OUT_OF_RANGE, Cancelled.
  absl::StatusOr<Int4Energy> Encode(int64_t first, std::span<float> weights);

  // Bytes that an encoder holds.
  static uint64_t Bytes();

 private:
  absl::Status ChooseRowGrids(std::span<const float> weights);
  absl::StatusOr<double> EncodeBlock(int64_t begin, int64_t end, std::span<float> weights);
  absl::StatusOr<double> EncodeRow(int64_t row, int64_t begin, int64_t end, float* weights);
  absl::Status ChooseGrid(int64_t row, int64_t col, std::span<const float> weights);
  std::span<const float> PredictTargets(int64_t col, const float* weights, const float* targets);
  absl::StatusOr<double> EnergyOf(std::span<const float> rows);
  void AddFeedback(std::span<const float> errors, int64_t begin, int64_t end, int64_t depth);

  const Int4StripProblem& problem_;
  const int64_t cols_;
  int64_t first_ = 0;
  std::vector<Int4Grid> grids_;   // of each row, that of the column in work
  std::vector<float> targets_;    // [kInt4StripRows, kBlock]
  std::vector<float> predicted_;  // of one group
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_STRIP_H_
