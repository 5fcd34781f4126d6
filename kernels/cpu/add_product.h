// The matrix product of error feedback, on the calling thread: OpenBLAS would start its own threads
// from each of the encoder's.
#ifndef QTIPD_KERNELS_CPU_ADD_PRODUCT_H_
#define QTIPD_KERNELS_CPU_ADD_PRODUCT_H_

#include <cstdint>

namespace qtipd {

// c[rows, cols] += a[rows, depth] b[depth, cols], row-major with row strides; cols a multiple of
// 16. fp32; sums go along depth.
struct MatrixProduct {
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t depth = 0;
  const float* a = nullptr;
  int64_t a_stride = 0;
  const float* b = nullptr;
  int64_t b_stride = 0;
  float* c = nullptr;
  int64_t c_stride = 0;
};
void AddProduct(const MatrixProduct& product);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CPU_ADD_PRODUCT_H_
