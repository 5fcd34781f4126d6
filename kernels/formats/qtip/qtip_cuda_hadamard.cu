// A side of K 2^a elements is transformed by butterflies over a index bits and by had_K over K
// parts. A pass does up to four bits in registers, one read and one write of the matrix: six passes
// at 4096x4096. A product with had_K is another pass, K additions an element.
#include <cuda_fp16.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/formats/qtip/qtip_cuda_hadamard.h"

namespace qtipd {
namespace {

constexpr int kThreads = 256;
constexpr int kPassBits = 4;
constexpr int kProductColumns = 32;  // of a block of CombineOrder, one a lane

// Groups of 2^kBits elements that are `stride` apart.
template <typename T, int kBits>
__global__ void ButterflyPass(T* data, int64_t items, int64_t stride, T factor) {
  constexpr int kSize = 1 << kBits;
  const int64_t item = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (item >= items) return;
  T* base = data + (item / stride << kBits) * stride + item % stride;
  T v[kSize];
#pragma unroll
  for (int k = 0; k < kSize; ++k) v[k] = base[k * stride] * factor;
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
  for (int k = 0; k < kSize; ++k) base[k * stride] = v[k];
}

template <typename T, int kBits>
absl::Status LaunchPass(const CudaDevice& device, T* data, int64_t count, int64_t stride,
                        T factor) {
  const int64_t items = count >> kBits;
  const LaunchOptions options = {.grid = static_cast<unsigned>((items + kThreads - 1) / kThreads),
                                 .block = kThreads};
  return LaunchKernel(device, options, ButterflyPass<T, kBits>, data, items, stride, factor);
}

// data [outer][order][stride] <- had_K over the middle index. A block takes kProductColumns of the
// outer and inner positions, a warp four rows of had_K at a time.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    CombineOrder(T* data, int64_t columns, int64_t stride, int order, const uint16_t* signs) {
  extern __shared__ __align__(16) unsigned char memory[];
  T* inputs = reinterpret_cast<T*>(memory);  // [order][kProductColumns]
  const int lane = threadIdx.x % kProductColumns;
  const int warp = threadIdx.x / kProductColumns;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kProductColumns + lane;
  const bool exists = column < columns;
  T* base = data + (column / stride * order) * stride + column % stride;
  for (int row = warp; row < order; row += kThreads / kProductColumns) {
    inputs[row * kProductColumns + lane] = exists ? base[row * stride] : T{0};
  }
  __syncthreads();
  const int groups = order / kSignBlock;
  for (int group = warp; group < groups; group += kThreads / kProductColumns) {
    T sums[kSignBlock] = {};
    for (int k = 0; k < groups; ++k) {
      const uint32_t word = __ldg(signs + k * groups + group);
#pragma unroll
      for (int c = 0; c < kSignBlock; ++c) {
        const T value = inputs[(kSignBlock * k + c) * kProductColumns + lane];
#pragma unroll
        for (int r = 0; r < kSignBlock; ++r) {
          sums[r] += (word >> (kSignBlock * c + r) & 1) != 0 ? -value : value;
        }
      }
    }
    if (!exists) continue;
#pragma unroll
    for (int r = 0; r < kSignBlock; ++r) base[(kSignBlock * group + r) * stride] = sums[r];
  }
}

template <typename T>
absl::Status LaunchCombine(const CudaDevice& device, T* data, int64_t count, int64_t stride,
                           const CudaRotation& rotation) {
  const int64_t columns = count / rotation.order;
  const LaunchOptions options = {
      .grid = static_cast<unsigned>((columns + kProductColumns - 1) / kProductColumns),
      .block = kThreads,
      .shared_bytes = rotation.order * kProductColumns * sizeof(T)};
  return LaunchKernel(device, options, CombineOrder<T>, data, columns, stride, rotation.order,
                      static_cast<const uint16_t*>(rotation.signs.as<uint16_t>()));
}

// One side of a matrix of `count` elements, whose neighbours along that side are `stride` apart.
template <typename T>
absl::Status LaunchSide(const CudaDevice& device, T* data, int64_t count, int64_t stride,
                        const CudaRotation& rotation) {
  const int64_t size = rotation.sides.size;
  const int64_t points = size / rotation.order;
  const int bits = std::countr_zero(static_cast<uint64_t>(points));
  // In the first pass; there is one, since sizes are multiples of 32 and orders are not.
  T factor = static_cast<T>(1.0 / std::sqrt(static_cast<double>(size)));
  for (int bit = 0; bit < bits; bit += kPassBits, factor = 1) {
    const int64_t pass_stride = stride << bit;
    switch (std::min(kPassBits, bits - bit)) {
      case 1:
        QTIPD_RETURN_IF_ERROR((LaunchPass<T, 1>(device, data, count, pass_stride, factor)));
        break;
      case 2:
        QTIPD_RETURN_IF_ERROR((LaunchPass<T, 2>(device, data, count, pass_stride, factor)));
        break;
      case 3:
        QTIPD_RETURN_IF_ERROR((LaunchPass<T, 3>(device, data, count, pass_stride, factor)));
        break;
      default:
        QTIPD_RETURN_IF_ERROR((LaunchPass<T, kPassBits>(device, data, count, pass_stride, factor)));
        break;
    }
  }
  if (rotation.order == 1) return absl::OkStatus();
  return LaunchCombine(device, data, count, stride * points, rotation);
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
absl::Status LaunchMatrixHadamard(const CudaDevice& device, T* matrix, const CudaRotation& rows,
                                  const CudaRotation& cols) {
  const int64_t width = cols.sides.features();
  const int64_t count = rows.sides.features() * width;
  QTIPD_RETURN_IF_ERROR(LaunchSide(device, matrix, count, 1, cols));
  return LaunchSide(device, matrix, count, width, rows);
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

template absl::Status LaunchMatrixHadamard(const CudaDevice&, float*, const CudaRotation&,
                                           const CudaRotation&);
template absl::Status LaunchScale(const CudaDevice&, const float*, const float*, const float*,
                                  int64_t, int64_t, float*);
template absl::Status LaunchScale(const CudaDevice&, const float*, const float*, const float*,
                                  int64_t, int64_t, __half*);

}  // namespace qtipd
