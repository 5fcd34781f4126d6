#include "kernels/formats/qtip/qtip_incoherence.h"

#include <algorithm>

#include "kernels/api/random.h"
#include "kernels/api/status.h"
#include "kernels/cpu/pieces.h"
#include "kernels/formats/qtip/qtip_cpu_hadamard.h"

namespace qtipd {
namespace {

// Columns copied out and transformed together: one cache line of fp32 a row.
constexpr int64_t kPanelCols = 16;
// A transform is several additions an element.
constexpr int64_t kPieceDivisor = 8;

constexpr uint64_t kColumnBufferBytes = uint64_t{1} << 28;

// matrix [rows, cols] <- H^T diag(left) M diag(right) H, rows first, in arithmetic of type T and
// rounded to fp32 after each side.
template <typename T>
absl::Status RotateBothSides(ThreadPool& pool, const Progress& progress, std::span<float> matrix,
                             const std::vector<float>& left, const std::vector<float>& right) {
  const auto rows = static_cast<int64_t>(left.size());
  const auto cols = static_cast<int64_t>(right.size());
  const auto row_transform = MakeQtipCpuTransform<T>(cols, HadamardDirection::kTransposed);
  const auto column_transform = MakeQtipCpuTransform<T>(rows, HadamardDirection::kTransposed);
  const int slots = QtipRotationThreads(std::max(rows, cols), pool.threads());
  std::vector<std::vector<T>> buffers(slots);
  const auto rotate_rows = [&](int slot, int64_t begin, int64_t end) {
    std::vector<T>& buffer = buffers[slot];
    buffer.resize(cols);
    for (int64_t row = begin; row < end; ++row) {
      float* values = matrix.data() + row * cols;
      for (int64_t col = 0; col < cols; ++col) {
        buffer[col] = T{values[col]} * T{left[row]} * T{right[col]};
      }
      QtipCpuHadamard(row_transform, buffer.data());
      std::copy(buffer.begin(), buffer.end(), values);
    }
  };
  const auto rotate_columns = [&](int slot, int64_t begin, int64_t end) {
    std::vector<T>& buffer = buffers[slot];
    const int64_t width = end - begin;
    buffer.resize(rows * width);
    for (int64_t row = 0; row < rows; ++row) {
      std::copy_n(matrix.data() + row * cols + begin, width, buffer.data() + row * width);
    }
    QtipCpuHadamardColumns(column_transform, buffer.data(), width, width);
    for (int64_t row = 0; row < rows; ++row) {
      std::copy_n(buffer.data() + row * width, width, matrix.data() + row * cols + begin);
    }
  };
  QTIPD_RETURN_IF_ERROR(
      ForPieces(pool, slots, progress, rows, PieceRows(kPieceDivisor * cols), rotate_rows));
  return ForPieces(pool, slots, progress, cols, kPanelCols, rotate_columns);
}

}  // namespace

QtipSigns MakeQtipSigns(Shape shape, uint64_t seed) {
  QtipSigns signs{std::vector<float>(shape.in_features), std::vector<float>(shape.out_features)};
  FillSigns(seed, RandomStream::kInputSigns, 0, signs.su);
  FillSigns(seed, RandomStream::kOutputSigns, 0, signs.sv);
  return signs;
}

template <typename T>
void HadamardTransform(std::span<T> values, HadamardDirection direction) {
  QtipCpuHadamard(MakeQtipCpuTransform<T>(static_cast<int64_t>(values.size()), direction),
                  values.data());
}

template <typename T>
void HadamardRows(ThreadPool& pool, std::span<T> matrix, int64_t rows, int64_t cols,
                  HadamardDirection direction) {
  const auto transform = MakeQtipCpuTransform<T>(cols, direction);
  pool.ParallelFor(rows, [&](int, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      QtipCpuHadamard(transform, matrix.data() + row * cols);
  });
}

template <typename T>
void HadamardColumns(ThreadPool& pool, std::span<T> matrix, int64_t rows, int64_t cols,
                     HadamardDirection direction) {
  const auto transform = MakeQtipCpuTransform<T>(rows, direction);
  pool.ParallelFor((cols + kPanelCols - 1) / kPanelCols, [&](int, int64_t begin, int64_t end) {
    std::vector<T> panel(rows * kPanelCols);
    for (int64_t first = begin * kPanelCols; first < std::min(end * kPanelCols, cols);
         first += kPanelCols) {
      const int64_t width = std::min(kPanelCols, cols - first);
      for (int64_t row = 0; row < rows; ++row) {
        std::copy_n(matrix.data() + row * cols + first, width, panel.data() + row * width);
      }
      QtipCpuHadamardColumns(transform, panel.data(), width, width);
      for (int64_t row = 0; row < rows; ++row) {
        std::copy_n(panel.data() + row * width, width, matrix.data() + row * cols + first);
      }
    }
  });
}

template void HadamardTransform(std::span<float>, HadamardDirection);
template void HadamardTransform(std::span<double>, HadamardDirection);
template void HadamardRows(ThreadPool&, std::span<float>, int64_t, int64_t, HadamardDirection);
template void HadamardRows(ThreadPool&, std::span<double>, int64_t, int64_t, HadamardDirection);
template void HadamardColumns(ThreadPool&, std::span<float>, int64_t, int64_t, HadamardDirection);
template void HadamardColumns(ThreadPool&, std::span<double>, int64_t, int64_t, HadamardDirection);

int QtipRotationThreads(int64_t rows, int threads) {
  const uint64_t each = sizeof(double) * kPanelCols * static_cast<uint64_t>(rows);
  return static_cast<int>(
      std::clamp<uint64_t>(kColumnBufferBytes / each, 1, static_cast<uint64_t>(threads)));
}

uint64_t QtipRotationBytes(Shape shape, int threads) {
  const int64_t rows = std::max(shape.out_features, shape.in_features);
  return sizeof(double) * kPanelCols * rows * QtipRotationThreads(rows, threads);
}

absl::Status RotateWeights(ThreadPool& pool, const Progress& progress, std::span<float> weights,
                           Shape shape, const QtipSigns& signs) {
  return RotateBothSides<float>(pool, progress, weights, signs.sv, signs.su);
}

absl::Status RotateHessian(ThreadPool& pool, const Progress& progress, std::span<float> hessian,
                           const std::vector<float>& su, double sigma_reg) {
  const auto n = static_cast<int64_t>(su.size());
  double trace = 0;
  for (int64_t i = 0; i < n; ++i) trace += hessian[i * n + i];
  QTIPD_RETURN_IF_ERROR(RotateBothSides<double>(pool, progress, hessian, su, su));
  // A rotation leaves a multiple of the identity as it is.
  const auto ridge = static_cast<float>(sigma_reg * trace / static_cast<double>(n));
  for (int64_t i = 0; i < n; ++i) hessian[i * n + i] += ridge;
  return absl::OkStatus();
}

}  // namespace qtipd
