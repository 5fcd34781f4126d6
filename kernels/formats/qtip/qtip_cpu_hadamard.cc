// A transform of K 2^a elements is K Walsh-Hadamard transforms in place, then a K x K matrix of +-1
// on what they leave, a strip of positions at a time: K 2^a (a + K) additions. At K = 172 that is
// 1.9 million for 11008 elements, still little beside a multiplication by the weights.
#include "kernels/formats/qtip/qtip_cpu_hadamard.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/formats/qtip/qtip_cpu_hadamard.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qtipd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Vectors of at most 64 bytes.
template <typename T>
using Tag = hn::CappedTag<T, 64 / sizeof(T)>;

// Rows of the matrix and vectors of positions that are summed at once: eight chains of additions.
constexpr int kRowsAtOnce = 4;
constexpr int kStripVectors = 2;
static_assert(12 % kRowsAtOnce == 0, "every order is a multiple of it");

// a, b = a + b, a - b over `count` elements, a multiple of the vector length or a small number.
template <typename T>
HWY_INLINE void Butterfly(T* HWY_RESTRICT a, T* HWY_RESTRICT b, int64_t count) {
  const Tag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto left = hn::LoadU(d, a + i);
    const auto right = hn::LoadU(d, b + i);
    hn::StoreU(hn::Add(left, right), d, a + i);
    hn::StoreU(hn::Sub(left, right), d, b + i);
  }
  for (; i < count; ++i) {
    const T left = a[i];
    a[i] = left + b[i];
    b[i] = left - b[i];
  }
}

// The first three levels of the transform, eight values at a time.
template <typename T>
HWY_INLINE void Hadamard8(T* v) {
  const T a0 = v[0] + v[1], a1 = v[0] - v[1], a2 = v[2] + v[3], a3 = v[2] - v[3];
  const T a4 = v[4] + v[5], a5 = v[4] - v[5], a6 = v[6] + v[7], a7 = v[6] - v[7];
  const T b0 = a0 + a2, b1 = a1 + a3, b2 = a0 - a2, b3 = a1 - a3;
  const T b4 = a4 + a6, b5 = a5 + a7, b6 = a4 - a6, b7 = a5 - a7;
  v[0] = b0 + b4, v[1] = b1 + b5, v[2] = b2 + b6, v[3] = b3 + b7;
  v[4] = b0 - b4, v[5] = b1 - b5, v[6] = b2 - b6, v[7] = b3 - b7;
}

// values [points], a power of two, not yet normalised.
template <typename T>
HWY_INLINE void WalshHadamard(T* values, int64_t points) {
  int64_t half = 1;
  if (points >= 8) {
    for (int64_t i = 0; i < points; i += 8) Hadamard8(values + i);
    half = 8;
  }
  for (; half < points; half *= 2) {
    for (int64_t i = 0; i < points; i += 2 * half) Butterfly(values + i, values + i + half, half);
  }
}

// The first `count` elements of two vectors.
template <typename T>
HWY_INLINE void StoreFirst(hn::Vec<Tag<T>> low, hn::Vec<Tag<T>> high, int64_t count, T* to) {
  const Tag<T> d;
  HWY_ALIGN T both[kStripVectors * hn::MaxLanes(Tag<T>())];
  hn::Store(low, d, both), hn::Store(high, d, both + hn::Lanes(d));
  std::copy_n(both, count, to);
}

// matrix strip, where strip [order][width] holds the inputs, to `to` with `stride` floats between
// rows; the first `count` of each are wanted.
template <typename T>
HWY_INLINE void CombineStrip(const T* matrix, int order, const T* strip, int64_t count,
                             int64_t stride, T* to) {
  const Tag<T> d;
  const size_t lanes = hn::Lanes(d);
  const size_t width = kStripVectors * lanes;
  for (int row = 0; row < order; row += kRowsAtOnce) {
    auto a0 = hn::Zero(d), a1 = hn::Zero(d), b0 = hn::Zero(d), b1 = hn::Zero(d);
    auto c0 = hn::Zero(d), c1 = hn::Zero(d), d0 = hn::Zero(d), d1 = hn::Zero(d);
    const T* signs = matrix + static_cast<int64_t>(row) * order;
    for (int k = 0; k < order; ++k) {
      const auto x0 = hn::Load(d, strip + k * width);
      const auto x1 = hn::Load(d, strip + k * width + lanes);
      const auto a = hn::Set(d, signs[k]), b = hn::Set(d, signs[order + k]);
      const auto c = hn::Set(d, signs[2 * order + k]), e = hn::Set(d, signs[3 * order + k]);
      a0 = hn::MulAdd(a, x0, a0), a1 = hn::MulAdd(a, x1, a1);
      b0 = hn::MulAdd(b, x0, b0), b1 = hn::MulAdd(b, x1, b1);
      c0 = hn::MulAdd(c, x0, c0), c1 = hn::MulAdd(c, x1, c1);
      d0 = hn::MulAdd(e, x0, d0), d1 = hn::MulAdd(e, x1, d1);
    }
    T* out = to + row * stride;
    StoreFirst<T>(a0, a1, count, out), StoreFirst<T>(b0, b1, count, out + stride);
    StoreFirst<T>(c0, c1, count, out + 2 * stride), StoreFirst<T>(d0, d1, count, out + 3 * stride);
  }
}

// rows [order] of `count` floats, `stride` apart: rows <- matrix rows.
template <typename T>
HWY_INLINE void CombineRows(const std::vector<T>& matrix, int order, int64_t stride, int64_t count,
                            T* rows) {
  const auto width = static_cast<int64_t>(kStripVectors * hn::Lanes(Tag<T>()));
  HWY_ALIGN T strip[kMaxHadamardOrder * kStripVectors * hn::MaxLanes(Tag<T>())];
  for (int64_t first = 0; first < count; first += width) {
    const int64_t part = std::min(width, count - first);
    for (int row = 0; row < order; ++row) {
      std::copy_n(rows + row * stride + first, part, strip + row * width);
      std::fill(strip + row * width + part, strip + (row + 1) * width, T{0});
    }
    CombineStrip(matrix.data(), order, strip, part, stride, rows + first);
  }
}

template <typename T>
T Normalisation(int64_t size) {
  return static_cast<T>(1 / std::sqrt(static_cast<double>(size)));
}

template <typename T>
HWY_INLINE void TransformVector(const QtipCpuTransform<T>& transform, T* values) {
  const int64_t points = transform.size / transform.order;
  for (int row = 0; row < transform.order; ++row) WalshHadamard(values + row * points, points);
  if (transform.order > 1) {
    CombineRows(transform.matrix, transform.order, points, points, values);
  }
  const T scale = Normalisation<T>(transform.size);
  for (int64_t i = 0; i < transform.size; ++i) values[i] *= scale;
}

template <typename T>
HWY_INLINE void TransformColumns(const QtipCpuTransform<T>& transform, T* matrix, int64_t stride,
                                 int64_t columns) {
  const int64_t points = transform.size / transform.order;
  for (int64_t half = 1; half < points; half *= 2) {
    for (int64_t row = 0; row < transform.size; ++row) {
      if ((row % points & half) != 0) continue;
      Butterfly(matrix + row * stride, matrix + (row + half) * stride, columns);
    }
  }
  if (transform.order > 1) {
    for (int64_t point = 0; point < points; ++point) {
      CombineRows(transform.matrix, transform.order, points * stride, columns,
                  matrix + point * stride);
    }
  }
  const T scale = Normalisation<T>(transform.size);
  for (int64_t row = 0; row < transform.size; ++row) {
    for (int64_t col = 0; col < columns; ++col) matrix[row * stride + col] *= scale;
  }
}

void HadamardOfFloats(const QtipCpuTransform<float>& transform, float* values) {
  TransformVector(transform, values);
}
void HadamardOfDoubles(const QtipCpuTransform<double>& transform, double* values) {
  TransformVector(transform, values);
}
void ColumnsOfFloats(const QtipCpuTransform<float>& transform, float* matrix, int64_t stride,
                     int64_t columns) {
  TransformColumns(transform, matrix, stride, columns);
}
void ColumnsOfDoubles(const QtipCpuTransform<double>& transform, double* matrix, int64_t stride,
                      int64_t columns) {
  TransformColumns(transform, matrix, stride, columns);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qtipd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qtipd {

HWY_EXPORT(HadamardOfFloats);
HWY_EXPORT(HadamardOfDoubles);
HWY_EXPORT(ColumnsOfFloats);
HWY_EXPORT(ColumnsOfDoubles);

template <typename T>
QtipCpuTransform<T> MakeQtipCpuTransform(int64_t size, HadamardDirection direction) {
  QtipCpuTransform<T> transform{.size = size, .order = HadamardOrder(size).value(), .matrix = {}};
  if (transform.order > 1) {
    const std::vector<int8_t> signs = HadamardMatrix(transform.order, direction);
    transform.matrix.assign(signs.begin(), signs.end());
  }
  return transform;
}
template QtipCpuTransform<float> MakeQtipCpuTransform(int64_t, HadamardDirection);
template QtipCpuTransform<double> MakeQtipCpuTransform(int64_t, HadamardDirection);

void QtipCpuHadamard(const QtipCpuTransform<float>& transform, float* values) {
  HWY_DYNAMIC_DISPATCH(HadamardOfFloats)(transform, values);
}

void QtipCpuHadamard(const QtipCpuTransform<double>& transform, double* values) {
  HWY_DYNAMIC_DISPATCH(HadamardOfDoubles)(transform, values);
}

void QtipCpuHadamardColumns(const QtipCpuTransform<float>& transform, float* matrix, int64_t stride,
                            int64_t columns) {
  HWY_DYNAMIC_DISPATCH(ColumnsOfFloats)(transform, matrix, stride, columns);
}

void QtipCpuHadamardColumns(const QtipCpuTransform<double>& transform, double* matrix,
                            int64_t stride, int64_t columns) {
  HWY_DYNAMIC_DISPATCH(ColumnsOfDoubles)(transform, matrix, stride, columns);
}

}  // namespace qtipd
#endif  // HWY_ONCE
