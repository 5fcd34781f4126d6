#include "kernels/formats/qtip/qtip_cuda_ldlq.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/api/dtype.h"
#include "kernels/cuda/upload.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {
namespace {

constexpr int64_t kGroupCols = 128;    // columns whose feedback is summed by one matrix product
constexpr int64_t kEnergyRows = 1024;  // rows of E C held at a time
constexpr int64_t kMostQueued = 8;  // columns of tiles, each about 1 ms however few its tiles are

}  // namespace

absl::StatusOr<CudaLdlq> CudaLdlq::Create(CudaDevice& device, const QtipCodeSpec& spec,
                                          std::span<const uint16_t> tlut, int64_t cols,
                                          const float* cholesky) {
  QTIPD_RETURN_IF_ERROR(CheckEncode(spec, device.limits()));
  CudaLdlq ldlq(device, spec, cols, cholesky);
  QTIPD_RETURN_IF_ERROR(ldlq.UploadTable(tlut));
  QTIPD_ASSIGN_OR_RETURN(ldlq.scratch_, device.Allocate(EncodeScratchBytes(device, spec)));
  return ldlq;
}

absl::Status CudaLdlq::UploadTable(std::span<const uint16_t> tlut) {
  const QtipTable table = MakeQtipTable(spec_, tlut);
  table_rms_ = table.Rms();
  for (const float weight : table.weights) reach_ = std::max(reach_, std::abs(weight));
  if (QtipHasKernelLayout(spec_)) {
    QTIPD_ASSIGN_OR_RETURN(table_, Upload(*device_, tlut));
    return absl::OkStatus();
  }
  QTIPD_ASSIGN_OR_RETURN(values_, Upload(*device_, table.weights));
  QTIPD_ASSIGN_OR_RETURN(halves_, Upload(*device_, EncodeFloats(table.weights, DType::kF16)));
  return absl::OkStatus();
}

absl::StatusOr<double> CudaLdlq::Encode(const CudaPanel& panel, const Watch& watch) {
  QTIPD_ASSIGN_OR_RETURN(const double energy, Energy(panel, 0, watch));
  QTIPD_RETURN_IF_ERROR(
      cholesky_ == nullptr
          ? EncodeTiles(Arguments(panel), panel.rows * cols_ / kQtipTileWeights, watch)
          : EncodeWithFeedback(panel, watch));
  QTIPD_ASSIGN_OR_RETURN(const double error, Energy(panel, 1, watch));
  return energy > 0 ? error / energy : 0;
}

EncodeArguments CudaLdlq::Arguments(const CudaPanel& panel) const {
  return {.weights = panel.weights,
          .trellis = panel.trellis,
          .table = table_.as<uint32_t>(),
          .values = values_.as<float>(),
          .halves = halves_.as<uint16_t>(),
          .reach = reach_,
          .scratch = scratch_.data(),
          .cols = cols_};
}

// All tiles of `arguments` in launches of bounded length; of one tile column, `watch` is told by
// the caller.
absl::Status CudaLdlq::EncodeTiles(EncodeArguments arguments, int64_t tiles,
                                   const Watch& watch) const {
  const int64_t most = EncodeTilesPerLaunch(*device_);
  for (int64_t first = 0; first < tiles; first += most) {
    arguments.first_tile = first;
    arguments.tile_count = std::min(most, tiles - first);
    QTIPD_RETURN_IF_ERROR(LaunchEncode(*device_, spec_, arguments));
    if (arguments.tile_col >= 0) continue;
    QTIPD_RETURN_IF_ERROR(device_->Synchronize());
    const auto done = static_cast<double>(first + arguments.tile_count);
    QTIPD_RETURN_IF_ERROR(watch(done / static_cast<double>(tiles)));
  }
  return absl::OkStatus();
}

// Column groups from last to first, and within a group blocks of 16 columns from last to first.
// The weights hold W - decoded where a block is done.
absl::Status CudaLdlq::EncodeWithFeedback(const CudaPanel& panel, const Watch& watch) {
  QTIPD_ASSIGN_OR_RETURN(
      const Buffer product,
      device_->Allocate(panel.rows * std::min(kGroupCols, cols_) * sizeof(float)));
  QTIPD_ASSIGN_OR_RETURN(const Buffer lower,
                         device_->Allocate(cols_ * std::min(kGroupCols, cols_) * sizeof(float)));
  // So much may be queued before the device is waited for and a cancellation looked for.
  const int64_t most_tiles = EncodeTilesPerLaunch(*device_);
  const int64_t tiles = panel.rows / kQtipTileRows;
  int64_t queued = 0;
  // The last group on the left may be narrower.
  for (int64_t end = cols_, begin = 0; end > 0; end = begin) {
    begin = std::max<int64_t>(0, end - kGroupCols);
    EncodeArguments arguments = Arguments(panel);
    arguments.feedback = {.product = product.as<float>(),
                          .lower = lower.as<float>(),
                          .group_begin = begin,
                          .group_cols = end - begin};
    QTIPD_RETURN_IF_ERROR(
        LaunchLowerColumns(*device_, cholesky_, cols_, begin, end - begin, lower.as<float>()));
    QTIPD_RETURN_IF_ERROR(FeedBack(panel, arguments.feedback, product.as<float>()));
    for (int64_t col = end - kQtipTileCols; col >= begin; col -= kQtipTileCols) {
      arguments.tile_col = col / kQtipTileCols;
      QTIPD_RETURN_IF_ERROR(EncodeTiles(arguments, tiles, watch));
      ++queued;
      if (queued < kMostQueued && queued * tiles < most_tiles && col > 0) continue;
      queued = 0;
      QTIPD_RETURN_IF_ERROR(device_->Synchronize());
      QTIPD_RETURN_IF_ERROR(watch(static_cast<double>(cols_ - col) / static_cast<double>(cols_)));
    }
  }
  return absl::OkStatus();
}

// product[rows, group] = E[:, end:] L[end:, group], zero for the last group.
absl::Status CudaLdlq::FeedBack(const CudaPanel& panel, const EncodeFeedback& group,
                                float* product) {
  const int64_t end = group.group_begin + group.group_cols;
  const auto stride = static_cast<int>(group.group_cols);
  if (end == cols_) {
    return device_->Fill(product, 0, panel.rows * group.group_cols * sizeof(float));
  }
  const float one = 1;
  const float zero = 0;
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasSgemm(
      device_->cublas(), CUBLAS_OP_N, CUBLAS_OP_N, stride, static_cast<int>(panel.rows),
      static_cast<int>(cols_ - end), &one, group.lower + group.group_cols * group.group_cols,
      stride, panel.weights + end, static_cast<int>(cols_), &zero, product, stride));
  return absl::OkStatus();
}

// tr(A H A^T) of what the panel's weights hold, measured when `done` of the panel is.
absl::StatusOr<double> CudaLdlq::Energy(const CudaPanel& panel, double done, const Watch& watch) {
  if (cholesky_ == nullptr) return SumOfSquaresOnCuda(*device_, panel.weights, panel.rows * cols_);
  const float one = 1;
  const auto n = static_cast<int>(cols_);
  const int64_t chunk = std::min(kEnergyRows, panel.rows);
  QTIPD_ASSIGN_OR_RETURN(const Buffer product, device_->Allocate(chunk * cols_ * sizeof(float)));
  double energy = 0;
  for (int64_t first = 0; first < panel.rows; first += chunk) {
    const int64_t rows = std::min(chunk, panel.rows - first);
    // (A C)^T = C^T A^T in cuBLAS's column-major terms.
    QTIPD_RETURN_IF_CUBLAS_ERROR(
        cublasStrmm(device_->cublas(), CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_T,
                    CUBLAS_DIAG_NON_UNIT, n, static_cast<int>(rows), &one, cholesky_, n,
                    panel.weights + first * cols_, n, product.as<float>(), n));
    QTIPD_ASSIGN_OR_RETURN(const double part,
                           SumOfSquaresOnCuda(*device_, product.as<float>(), rows * cols_));
    energy += part;
    QTIPD_RETURN_IF_ERROR(watch(done));
  }
  return energy;
}

}  // namespace qtipd
