// Left-looking blocked Cholesky: C is kept as fp32 where H was, and every panel of kPanelCols
// columns is brought up to date and factored in double precision, so that a rounding to fp32 is all
// that C loses. A panel takes what is left of it from chunks of C, widened for cuBLAS. Within a
// panel one block factors a diagonal block in shared memory and cuBLAS does the rest. L follows
// from C by inverting its 16x16 diagonal blocks.
#include <algorithm>
#include <array>

#include "kernels/api/error.h"
#include "kernels/cuda/launch.h"
#include "kernels/formats/qtip/qtip_cuda_ldl.h"
#include "kernels/formats/qtip/qtip_layout.h"

namespace qtipd {
namespace {

constexpr int64_t kPanelCols = 512;
constexpr int64_t kChunkCols = 1024;      // of C that are widened at a time
constexpr int kBlock = 64;                // diagonal blocks within a panel
constexpr int kBlockStride = kBlock + 1;  // no bank conflicts down a column
constexpr int kThreads = 256;
constexpr int kSumBlocks = 512;

// The block at `corner`, column-major with `stride`, becomes its lower Cholesky factor. `failure`
// gets the first column whose pivot is not positive; `first` is its first column in the matrix.
__global__ void __launch_bounds__(kThreads)
    FactorBlock(double* corner, int64_t stride, int64_t first, int block, int* failure) {
  __shared__ double a[kBlock * kBlockStride];
  for (int i = threadIdx.x; i < block * block; i += kThreads) {
    a[i / block * kBlockStride + i % block] = corner[i / block * stride + i % block];
  }
  __syncthreads();
  for (int k = 0; k < block; ++k) {
    double* column = a + k * kBlockStride;
    const double pivot = column[k];
    if (!(pivot > 0)) {  // NaN too
      if (threadIdx.x == 0) atomicMin(failure, static_cast<int>(first) + k);
      return;
    }
    __syncthreads();
    const double root = sqrt(pivot);
    for (int i = k + threadIdx.x; i < block; i += kThreads) {
      column[i] = i == k ? root : column[i] / root;
    }
    __syncthreads();
    const int rest = block - k - 1;
    for (int i = threadIdx.x; i < rest * rest; i += kThreads) {
      const int col = k + 1 + i / rest;
      const int row = k + 1 + i % rest;
      if (row >= col) a[col * kBlockStride + row] -= column[row] * column[col];
    }
    __syncthreads();
  }
  for (int i = threadIdx.x; i < block * block; i += kThreads) {
    if (i % block >= i / block) {
      corner[i / block * stride + i % block] = a[i / block * kBlockStride + i % block];
    }
  }
}

// Column-major [rows, cols] from one stride to another.
template <typename From, typename To>
__global__ void CopyColumns(const From* from, int64_t from_stride, int64_t rows, To* to,
                            int64_t to_stride) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t col = blockIdx.y;
  if (row < rows) to[col * to_stride + row] = static_cast<To>(from[col * from_stride + row]);
}

// Rows first + 16 b ... of L[:, b] = C[:, b] C[b, b]^-1 for the block column b = blockIdx.y of a
// group that begins at column `first`; row-major [size - first, group_cols].
__global__ void __launch_bounds__(kThreads)
    NormaliseColumns(const float* cholesky, int64_t size, int64_t first, int64_t group_cols,
                     float* lower) {
  constexpr int kSide = kQtipTileCols;
  __shared__ double diagonal[kSide][kSide];  // [row][col]
  __shared__ double inverse[kSide][kSide];
  const int64_t block = first + static_cast<int64_t>(blockIdx.y) * kSide;
  const int row = threadIdx.x % kSide;
  const int col = threadIdx.x / kSide;
  diagonal[row][col] = row >= col ? double{cholesky[(block + col) * size + block + row]} : 0;
  __syncthreads();
  if (threadIdx.x < kSide) {  // one column of the inverse a thread, by forward substitution
    for (int i = 0; i < kSide; ++i) {
      double sum = i == threadIdx.x ? 1 : 0;
      for (int j = 0; j < i; ++j) sum -= diagonal[i][j] * inverse[j][threadIdx.x];
      inverse[i][threadIdx.x] = sum / diagonal[i][i];
    }
  }
  __syncthreads();
  const int64_t i = block + kSide + static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= size) return;
  double values[kSide];
  for (int j = 0; j < kSide; ++j) values[j] = cholesky[(block + j) * size + i];
  for (int c = 0; c < kSide; ++c) {
    double sum = 0;
    for (int j = c; j < kSide; ++j) sum += values[j] * inverse[j][c];
    lower[(i - first) * group_cols + block - first + c] = static_cast<float>(sum);
  }
}

__global__ void AddDiagonal(float* matrix, int64_t size, float value) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < size) matrix[i * size + i] += value;
}

__global__ void __launch_bounds__(kThreads)
    SumSquares(const float* values, int64_t count, double* sums) {
  __shared__ double partial[kThreads];
  double sum = 0;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += int64_t{kSumBlocks} * kThreads) {
    sum += static_cast<double>(values[i]) * values[i];
  }
  partial[threadIdx.x] = sum;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) sums[blockIdx.x] = partial[0];
}

unsigned BlocksFor(int64_t items) {
  return static_cast<unsigned>((items + kThreads - 1) / kThreads);
}

template <typename From, typename To>
absl::Status LaunchCopyColumns(const CudaDevice& device, const From* from, int64_t from_stride,
                               int64_t rows, int64_t cols, To* to, int64_t to_stride) {
  const LaunchOptions options = {.grid = dim3(BlocksFor(rows), static_cast<unsigned>(cols)),
                                 .block = kThreads};
  return LaunchKernel(device, options, CopyColumns<From, To>, from, from_stride, rows, to,
                      to_stride);
}

class Factorisation {
 public:
  Factorisation(CudaDevice& device, float* matrix, int64_t size)
      : device_(device), matrix_(matrix), size_(size) {}

  absl::Status Run(const std::function<absl::Status()>& check) {
    constexpr int kNone = 0x7F7F7F7F;
    QTIPD_ASSIGN_OR_RETURN(panel_,
                           device_.Allocate(sizeof(double) * size_ * std::min(kPanelCols, size_)));
    QTIPD_ASSIGN_OR_RETURN(chunk_,
                           device_.Allocate(sizeof(double) * size_ * std::min(kChunkCols, size_)));
    QTIPD_ASSIGN_OR_RETURN(failure_, device_.Allocate(sizeof(int)));
    QTIPD_RETURN_IF_ERROR(device_.Fill(failure_.data(), 0x7F, sizeof(int)));
    for (int64_t first = 0; first < size_; first += kPanelCols) {
      const int64_t cols = std::min(kPanelCols, size_ - first);
      QTIPD_RETURN_IF_ERROR(BringUpToDate(first, cols));
      QTIPD_RETURN_IF_ERROR(FactorPanel(first, cols));
      QTIPD_RETURN_IF_ERROR(LaunchCopyColumns(device_, panel_.as<double>(), size_ - first,
                                              size_ - first, cols, At(first, first), size_));
      QTIPD_RETURN_IF_ERROR(device_.Synchronize());
      QTIPD_RETURN_IF_ERROR(check());
    }
    int failed = 0;
    QTIPD_RETURN_IF_ERROR(device_.CopyToHost(&failed, failure_.data(), sizeof(failed)));
    if (failed == kNone) return absl::OkStatus();
    return InvalidField("HESSIAN_NOT_POSITIVE_DEFINITE", "hessian",
                        "a pivot that is not positive at column " + std::to_string(failed) +
                            " of the rotated matrix",
                        "positive definite after regularisation; raise sigma_reg");
  }

 private:
  float* At(int64_t row, int64_t col) const { return matrix_ + col * size_ + row; }

  // panel = H[first:, panel] - C[first:, :first] C[panel, :first]^T.
  absl::Status BringUpToDate(int64_t first, int64_t cols) {
    const int64_t rows = size_ - first;
    QTIPD_RETURN_IF_ERROR(
        LaunchCopyColumns(device_, At(first, first), size_, rows, cols, panel_.as<double>(), rows));
    const double one = 1;
    const double minus_one = -1;
    const auto stride = static_cast<int>(rows);
    for (int64_t begin = 0; begin < first; begin += kChunkCols) {
      const int64_t width = std::min(kChunkCols, first - begin);
      QTIPD_RETURN_IF_ERROR(LaunchCopyColumns(device_, At(first, begin), size_, rows, width,
                                              chunk_.as<double>(), rows));
      QTIPD_RETURN_IF_CUBLAS_ERROR(
          cublasDgemm(device_.cublas(), CUBLAS_OP_N, CUBLAS_OP_T, stride, static_cast<int>(cols),
                      static_cast<int>(width), &minus_one, chunk_.as<double>(), stride,
                      chunk_.as<double>(), stride, &one, panel_.as<double>(), stride));
    }
    return absl::OkStatus();
  }

  // The panel's own Cholesky factor, right-looking.
  absl::Status FactorPanel(int64_t first, int64_t cols) {
    const double one = 1;
    const double minus_one = -1;
    const int64_t rows = size_ - first;
    const auto stride = static_cast<int>(rows);
    for (int64_t at = 0; at < cols; at += kBlock) {
      const int block = static_cast<int>(std::min<int64_t>(kBlock, cols - at));
      double* diagonal = panel_.as<double>() + at * rows + at;
      QTIPD_RETURN_IF_ERROR(LaunchKernel(device_, {.block = kThreads}, FactorBlock, diagonal, rows,
                                         first + at, block, failure_.as<int>()));
      const auto below_rows = static_cast<int>(rows - at - block);
      if (below_rows == 0) break;
      double* below = diagonal + block;
      QTIPD_RETURN_IF_CUBLAS_ERROR(cublasDtrsm(
          device_.cublas(), CUBLAS_SIDE_RIGHT, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_T,
          CUBLAS_DIAG_NON_UNIT, below_rows, block, &one, diagonal, stride, below, stride));
      const auto rest = static_cast<int>(cols - at - block);
      if (rest == 0) break;
      QTIPD_RETURN_IF_CUBLAS_ERROR(cublasDgemm(
          device_.cublas(), CUBLAS_OP_N, CUBLAS_OP_T, below_rows, rest, block, &minus_one, below,
          stride, below, stride, &one, below + static_cast<int64_t>(block) * rows, stride));
    }
    return absl::OkStatus();
  }

  CudaDevice& device_;
  float* const matrix_;
  const int64_t size_;
  Buffer panel_;  // [size - first, panel columns] column-major
  Buffer chunk_;  // columns of C, likewise
  Buffer failure_;
};

}  // namespace

absl::Status FactorOnCuda(CudaDevice& device, float* hessian, int64_t size,
                          const std::function<absl::Status()>& check) {
  return Factorisation(device, hessian, size).Run(check);
}

absl::Status LaunchLowerColumns(const CudaDevice& device, const float* cholesky, int64_t size,
                                int64_t first, int64_t group_cols, float* lower) {
  const LaunchOptions options = {
      .grid = dim3(BlocksFor(size - first), static_cast<unsigned>(group_cols / kQtipTileCols)),
      .block = kThreads};
  return LaunchKernel(device, options, NormaliseColumns, cholesky, size, first, group_cols, lower);
}

absl::StatusOr<double> SumOfSquaresOnCuda(CudaDevice& device, const float* values, int64_t count) {
  std::array<double, kSumBlocks> sums;
  QTIPD_ASSIGN_OR_RETURN(const Buffer buffer, device.Allocate(sizeof(sums)));
  QTIPD_RETURN_IF_ERROR(LaunchKernel(device, {.grid = kSumBlocks, .block = kThreads}, SumSquares,
                                     values, count, buffer.as<double>()));
  QTIPD_RETURN_IF_ERROR(device.CopyToHost(sums.data(), buffer.data(), sizeof(sums)));
  double sum = 0;
  for (const double s : sums) sum += s;
  return sum;
}

absl::Status LaunchAddDiagonal(const CudaDevice& device, float* hessian, int64_t size,
                               float value) {
  return LaunchKernel(device, {.grid = BlocksFor(size), .block = kThreads}, AddDiagonal, hessian,
                      size, value);
}

}  // namespace qtipd
