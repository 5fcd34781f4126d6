// A matrix of 2^a x 2^b elements is one array with a + b index bits, and the transform of rows and
// columns is a butterfly over every bit. A pass does up to four bits in registers, one read and one
// write of the matrix: six passes at 4096x4096.
#include <cuda_fp16.h>

#include <bit>
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/formats/qtip/qtip_cuda_hadamard.h"

namespace qtipd {
namespace {

constexpr int kThreads = 256;
constexpr int kPassBits = 4;

template <typename T, int kBits>
__global__ void ButterflyPass(T* data, int64_t items, int bit, T factor) {
  constexpr int kSize = 1 << kBits;
  const int64_t item = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (item >= items) return;
  const int64_t low_mask = (int64_t{1} << bit) - 1;
  T* base = data + (((item & ~low_mask) << kBits) | (item & low_mask));
  T v[kSize];
#pragma unroll
  for (int k = 0; k < kSize; ++k) v[k] = base[static_cast<int64_t>(k) << bit] * factor;
#pragma unroll
  for (int half = 1; half < kSize; half *= 2) {
#pragma unroll
    for (int i = 0; i < kSize; ++i) {
      if ((i & half) != 0) continue;
      const T a = v[i];
      const T b = v[i + half];
      v[i] = a + b;
      v[i + half] = a - b;
    }
  }
#pragma unroll
  for (int k = 0; k < kSize; ++k) base[static_cast<int64_t>(k) << bit] = v[k];
}

template <typename T, int kBits>
absl::Status LaunchPass(const CudaDevice& device, T* data, int64_t count, int bit, T factor) {
  const int64_t items = count >> kBits;
  const LaunchOptions options = {.grid = static_cast<unsigned>((items + kThreads - 1) / kThreads),
                                 .block = kThreads};
  return LaunchKernel(device, options, ButterflyPass<T, kBits>, data, items, bit, factor);
}

template <typename Source, typename Destination>
__global__ void ScaleElements(const Source* source, const float* __restrict__ row_scale,
                              const float* __restrict__ col_scale, int64_t count, int64_t cols,
                              Destination* destination) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  using Wide = decltype(Source{} * 1.0f);
  const Wide value = source[i] * static_cast<Wide>(row_scale[i / cols]) * col_scale[i % cols];
  destination[i] = static_cast<Destination>(value);
}

}  // namespace

template <typename T>
absl::Status LaunchMatrixHadamard(const CudaDevice& device, T* matrix, int64_t rows, int64_t cols) {
  const int64_t count = rows * cols;
  const int bits = std::countr_zero(static_cast<uint64_t>(count));
  // All at once in the first pass; a power of two more often than not, so exact.
  T factor = static_cast<T>(1.0 / std::sqrt(static_cast<double>(count)));
  for (int bit = 0; bit < bits; bit += kPassBits, factor = 1) {
    switch (std::min(kPassBits, bits - bit)) {
      case 1:
        QTIPD_RETURN_IF_ERROR((LaunchPass<T, 1>(device, matrix, count, bit, factor)));
        break;
      case 2:
        QTIPD_RETURN_IF_ERROR((LaunchPass<T, 2>(device, matrix, count, bit, factor)));
        break;
      case 3:
        QTIPD_RETURN_IF_ERROR((LaunchPass<T, 3>(device, matrix, count, bit, factor)));
        break;
      default:
        QTIPD_RETURN_IF_ERROR((LaunchPass<T, kPassBits>(device, matrix, count, bit, factor)));
        break;
    }
  }
  return absl::OkStatus();
}

template <typename Source, typename Destination>
absl::Status LaunchScale(const CudaDevice& device, const Source* source, const float* row_scale,
                         const float* col_scale, int64_t rows, int64_t cols,
                         Destination* destination) {
  const int64_t count = rows * cols;
  const LaunchOptions options = {.grid = static_cast<unsigned>((count + kThreads - 1) / kThreads),
                                 .block = kThreads};
  return LaunchKernel(device, options, ScaleElements<Source, Destination>, source, row_scale,
                      col_scale, count, cols, destination);
}

template absl::Status LaunchMatrixHadamard(const CudaDevice&, float*, int64_t, int64_t);
template absl::Status LaunchMatrixHadamard(const CudaDevice&, double*, int64_t, int64_t);
template absl::Status LaunchScale(const CudaDevice&, const float*, const float*, const float*,
                                  int64_t, int64_t, float*);
template absl::Status LaunchScale(const CudaDevice&, const float*, const float*, const float*,
                                  int64_t, int64_t, __half*);
template absl::Status LaunchScale(const CudaDevice&, const float*, const float*, const float*,
                                  int64_t, int64_t, double*);

}  // namespace qtipd
