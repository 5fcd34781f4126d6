// LDLQ: quantizes column blocks from last to first and feeds the error of the finished ones into
// the next, so that the error that matters, tr(E H E^T), is smallest. Source: QuIP (Chee et al.,
// 2023, arXiv 2307.13304), block form of QuIP# (arXiv 2402.04396).
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_LDLQ_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_LDLQ_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"
#include "kernels/cpu/thread_pool.h"

namespace qtipd {

// H = L D L^T with unit block-lower-triangular L, blocks of 16 columns.
struct BlockLdl {
  int64_t size = 0;
  std::vector<float> lower;   // L [size, size] row-major, its diagonal blocks and upper part zero
  std::vector<float> pivots;  // [size/16][16][16], lower triangular C with D_c = C C^T
};

// Factors a symmetric matrix [size, size], size a multiple of 16; takes it over as working memory.
// Errors: InvalidArgument/HESSIAN_NOT_POSITIVE_DEFINITE.
absl::StatusOr<BlockLdl> FactorBlockLdl(ThreadPool& pool, std::vector<double> hessian,
                                        int64_t size);

// Quantizes one block of 16 columns: `target` [out_features][16] in, its approximation `decoded` of
// the same shape out. `block` counts from the left.
using QuantizeColumns = std::function<absl::Status(int64_t block, std::span<const float> target,
                                                   std::span<float> decoded)>;

// Runs LDLQ over `weights` [out, in] and returns tr(E H E^T) of E = weights - decoded.
// Blocking; returns the first error of `quantize`.
absl::StatusOr<double> RunLdlq(const BlockLdl& factor, std::span<const float> weights, Shape shape,
                               const QuantizeColumns& quantize);

// tr(W H W^T) for W [out, in].
double HessianEnergy(ThreadPool& pool, const BlockLdl& factor, std::span<const float> weights,
                     Shape shape);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_LDLQ_H_
