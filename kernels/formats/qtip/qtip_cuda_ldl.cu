// Right-looking Cholesky: one block factors a diagonal panel in shared memory, cuBLAS solves the
// panel below it and updates the rest. At 4096 that is 23 GFLOP in double precision, most of it in
// DSYRK. L follows from C by inverting its 16x16 diagonal blocks.
#include <algorithm>
#include <array>

#include "kernels/api/error.h"
#include "kernels/cuda/launch.h"
#include "kernels/formats/qtip/qtip_cuda_ldl.h"
#include "kernels/formats/qtip/qtip_layout.h"

namespace qtipd {
namespace {

constexpr int kPanel = 64;
constexpr int kPanelStride = kPanel + 1;  // no bank conflicts down a column
constexpr int kThreads = 256;
constexpr int kSumBlocks = 512;

// Column-major [size, size]; the panel at (first, first) becomes its lower Cholesky factor.
// `failure` gets the first column whose pivot is not positive.
__global__ void __launch_bounds__(kThreads)
    FactorPanel(double* matrix, int64_t size, int64_t first, int panel, int* failure) {
  __shared__ double a[kPanel * kPanelStride];
  double* corner = matrix + first * size + first;
  for (int i = threadIdx.x; i < panel * panel; i += kThreads) {
    a[i / panel * kPanelStride + i % panel] = corner[i / panel * size + i % panel];
  }
  __syncthreads();
  for (int k = 0; k < panel; ++k) {
    double* column = a + k * kPanelStride;
    const double pivot = column[k];
    if (!(pivot > 0)) {  // NaN too
      if (threadIdx.x == 0) atomicMin(failure, static_cast<int>(first) + k);
      return;
    }
    __syncthreads();
    const double root = sqrt(pivot);
    for (int i = k + threadIdx.x; i < panel; i += kThreads) {
      column[i] = i == k ? root : column[i] / root;
    }
    __syncthreads();
    const int rest = panel - k - 1;
    for (int i = threadIdx.x; i < rest * rest; i += kThreads) {
      const int col = k + 1 + i / rest;
      const int row = k + 1 + i % rest;
      if (row >= col) a[col * kPanelStride + row] -= column[row] * column[col];
    }
    __syncthreads();
  }
  for (int i = threadIdx.x; i < panel * panel; i += kThreads) {
    if (i % panel >= i / panel) {
      corner[i / panel * size + i % panel] = a[i / panel * kPanelStride + i % panel];
    }
  }
}

// L[:, b] = C[:, b] C[b, b]^-1 for one block column b (blockIdx.y) below its diagonal block.
__global__ void __launch_bounds__(kThreads)
    NormaliseColumns(const double* cholesky, int64_t size, float* lower) {
  constexpr int kSide = kQtipTileCols;
  __shared__ double diagonal[kSide][kSide];  // [row][col]
  __shared__ double inverse[kSide][kSide];
  const int64_t first = static_cast<int64_t>(blockIdx.y) * kSide;
  const int row = threadIdx.x % kSide;
  const int col = threadIdx.x / kSide;
  diagonal[row][col] = row >= col ? cholesky[(first + col) * size + first + row] : 0;
  __syncthreads();
  if (threadIdx.x < kSide) {  // one column of the inverse a thread, by forward substitution
    for (int i = 0; i < kSide; ++i) {
      double sum = i == threadIdx.x ? 1 : 0;
      for (int j = 0; j < i; ++j) sum -= diagonal[i][j] * inverse[j][threadIdx.x];
      inverse[i][threadIdx.x] = sum / diagonal[i][i];
    }
  }
  __syncthreads();
  const int64_t i = first + kSide + static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= size) return;
  double values[kSide];
  for (int j = 0; j < kSide; ++j) values[j] = cholesky[(first + j) * size + i];
  for (int c = 0; c < kSide; ++c) {
    double sum = 0;
    for (int j = c; j < kSide; ++j) sum += values[j] * inverse[j][c];
    lower[i * size + first + c] = static_cast<float>(sum);
  }
}

__global__ void NarrowLower(const double* cholesky, int64_t size, float* narrow) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at < size * size) {
    narrow[at] = at % size >= at / size ? static_cast<float>(cholesky[at]) : 0.0f;
  }
}

__global__ void AddDiagonal(double* matrix, int64_t size, double value) {
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

absl::Status Cholesky(const CudaDevice& device, double* matrix, int64_t size, int* failure) {
  const double one = 1;
  const double minus_one = -1;
  for (int64_t first = 0; first < size; first += kPanel) {
    const int panel = static_cast<int>(std::min<int64_t>(kPanel, size - first));
    QTIPD_RETURN_IF_ERROR(LaunchKernel(device, {.block = kThreads}, FactorPanel, matrix, size,
                                       first, panel, failure));
    const int rest = static_cast<int>(size - first - panel);
    if (rest == 0) break;
    const int stride = static_cast<int>(size);
    double* diagonal = matrix + first * size + first;
    double* below = diagonal + panel;
    double* trailing = below + panel * size;
    QTIPD_RETURN_IF_CUBLAS_ERROR(
        cublasDtrsm(device.cublas(), CUBLAS_SIDE_RIGHT, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_T,
                    CUBLAS_DIAG_NON_UNIT, rest, panel, &one, diagonal, stride, below, stride));
    QTIPD_RETURN_IF_CUBLAS_ERROR(cublasDsyrk(device.cublas(), CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N,
                                             rest, panel, &minus_one, below, stride, &one, trailing,
                                             stride));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CudaBlockLdl> FactorBlockLdlOnCuda(CudaDevice& device, double* hessian,
                                                  int64_t size) {
  CudaBlockLdl factor;
  QTIPD_ASSIGN_OR_RETURN(factor.lower, device.Allocate(size * size * sizeof(float)));
  QTIPD_ASSIGN_OR_RETURN(factor.cholesky, device.Allocate(size * size * sizeof(float)));
  QTIPD_ASSIGN_OR_RETURN(const Buffer failure, device.Allocate(sizeof(int)));
  constexpr int kNone = 0x7F7F7F7F;
  QTIPD_RETURN_IF_ERROR(device.Fill(failure.data(), 0x7F, sizeof(int)));
  QTIPD_RETURN_IF_ERROR(Cholesky(device, hessian, size, failure.as<int>()));
  const LaunchOptions columns = {
      .grid = dim3(BlocksFor(size), static_cast<unsigned>(size / kQtipTileCols)),
      .block = kThreads};
  QTIPD_RETURN_IF_ERROR(
      LaunchKernel(device, columns, NormaliseColumns, hessian, size, factor.lower.as<float>()));
  QTIPD_RETURN_IF_ERROR(LaunchKernel(device, {.grid = BlocksFor(size * size), .block = kThreads},
                                     NarrowLower, hessian, size, factor.cholesky.as<float>()));
  int failed = 0;
  QTIPD_RETURN_IF_ERROR(device.CopyToHost(&failed, failure.data(), sizeof(failed)));
  if (failed != kNone) {
    return InvalidField("HESSIAN_NOT_POSITIVE_DEFINITE", "hessian",
                        "a pivot that is not positive at column " + std::to_string(failed) +
                            " of the rotated matrix",
                        "positive definite after regularisation; raise sigma_reg");
  }
  return factor;
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

absl::Status LaunchAddDiagonal(const CudaDevice& device, double* hessian, int64_t size,
                               double value) {
  return LaunchKernel(device, {.grid = BlocksFor(size), .block = kThreads}, AddDiagonal, hessian,
                      size, value);
}

}  // namespace qtipd
