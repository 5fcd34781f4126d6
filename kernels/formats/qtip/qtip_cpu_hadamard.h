// The Hadamard transforms of the CPU backend, compiled for several instruction sets and chosen at
// run time.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_HADAMARD_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_HADAMARD_H_

#include <cstdint>
#include <vector>

#include "kernels/formats/qtip/qtip_hadamard.h"

namespace qtipd {

inline constexpr int kMaxHadamardOrder = kHadamardOrders.front();

// A transform of `size` elements: what of it is made once. T is float or double.
template <typename T>
struct QtipCpuTransform {
  int64_t size = 0;
  int order = 1;
  std::vector<T> matrix;  // [order][order] of +-1, empty for order 1
};
template <typename T>
QtipCpuTransform<T> MakeQtipCpuTransform(int64_t size, HadamardDirection direction);

// values[size] <- the orthonormal transform of values: the same bits on every instruction set.
void QtipCpuHadamard(const QtipCpuTransform<float>& transform, float* values);
void QtipCpuHadamard(const QtipCpuTransform<double>& transform, double* values);

// The same along the columns of a row-major matrix [size, stride], for `columns` of them.
void QtipCpuHadamardColumns(const QtipCpuTransform<float>& transform, float* matrix, int64_t stride,
                            int64_t columns);
void QtipCpuHadamardColumns(const QtipCpuTransform<double>& transform, double* matrix,
                            int64_t stride, int64_t columns);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_HADAMARD_H_
