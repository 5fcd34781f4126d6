// Incoherence processing: random signs and Hadamard transforms on both sides, which make the
// weights of any layer look Gaussian to the trellis.
// Source: QuIP# (Tseng et al., 2024, arXiv 2402.04396), section 3; QTIP uses it unchanged.
//
// Directions: W_r = H_out^T diag(sv) W diag(su) H_in when encoding, so activations go in through
// H_in^T, what the trellis weights make of them comes out through H_out, and W_hat is diag(sv)
// H_out W_trellis H_in^T diag(su).
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_INCOHERENCE_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_INCOHERENCE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "kernels/api/weight_format.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/formats/qtip/qtip_hadamard.h"

namespace qtipd {

// Random +-1, a function of the seed alone.
struct QtipSigns {
  std::vector<float> su;  // [in_features]
  std::vector<float> sv;  // [out_features]
};
QtipSigns MakeQtipSigns(Shape shape, uint64_t seed);

// values <- H values or H^T values with the orthonormal H of qtip_hadamard.h, whose size has a
// HadamardOrder. T is float or double.
template <typename T>
void HadamardTransform(std::span<T> values, HadamardDirection direction);

// HadamardTransform of every row, and of every column, of a row-major [rows, cols] matrix. Shards
// of a row are rows of a matrix with more of them.
template <typename T>
void HadamardRows(ThreadPool& pool, std::span<T> matrix, int64_t rows, int64_t cols,
                  HadamardDirection direction);
template <typename T>
void HadamardColumns(ThreadPool& pool, std::span<T> matrix, int64_t rows, int64_t cols,
                     HadamardDirection direction);

// Threads that rotate a matrix with `rows` rows: as many as the buffers of whole columns that they
// need fit into a quarter of a GiB, `threads` at most; and the bytes of these buffers.
int QtipRotationThreads(int64_t rows, int threads);
uint64_t QtipRotationBytes(Shape shape, int threads);

// weights [out, in] <- W_r = H_out^T diag(sv) W diag(su) H_in. Errors: Cancelled.
absl::Status RotateWeights(ThreadPool& pool, const Progress& progress, std::span<float> weights,
                           Shape shape, const QtipSigns& signs);

// hessian [in, in] <- H_r = H_in^T diag(su) (H + sigma_reg mean(diag H) I) diag(su) H_in, computed
// in double precision and rounded to fp32 after each side. Errors: Cancelled.
absl::Status RotateHessian(ThreadPool& pool, const Progress& progress, std::span<float> hessian,
                           const std::vector<float>& su, double sigma_reg);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_INCOHERENCE_H_
