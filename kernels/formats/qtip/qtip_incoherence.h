// Incoherence processing: random signs and Walsh-Hadamard transforms on both sides, which make the
// weights of any layer look Gaussian to the trellis.
// Source: QuIP# (Tseng et al., 2024, arXiv 2402.04396), section 3; QTIP uses it unchanged.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_INCOHERENCE_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_INCOHERENCE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/api/weight_format.h"
#include "kernels/cpu/thread_pool.h"

namespace qtipd {

// Random +-1, a function of the seed alone.
struct QtipSigns {
  std::vector<float> su;  // [in_features]
  std::vector<float> sv;  // [out_features]
};
QtipSigns MakeQtipSigns(Shape shape, uint64_t seed);

// values <- H values / sqrt(n) with H[i][j] = (-1)^popcount(i & j), n a power of two: symmetric and
// its own inverse. T is float or double.
template <typename T>
void HadamardTransform(std::span<T> values);

// HadamardTransform of every row, and of every column, of a row-major [rows, cols] matrix.
template <typename T>
void HadamardRows(ThreadPool& pool, std::span<T> matrix, int64_t rows, int64_t cols);
template <typename T>
void HadamardColumns(ThreadPool& pool, std::span<T> matrix, int64_t rows, int64_t cols);

// W_r = H_out diag(sv) W diag(su) H_in, [out, in].
std::vector<float> RotateWeights(ThreadPool& pool, std::span<const float> weights, Shape shape,
                                 const QtipSigns& signs);

// H_r = H_in diag(su) (H + sigma_reg mean(diag H) I) diag(su) H_in, [in, in], in double precision
// for the factorisation that follows.
std::vector<double> RotateHessian(ThreadPool& pool, std::span<const float> hessian,
                                  const std::vector<float>& su, double sigma_reg);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_INCOHERENCE_H_
