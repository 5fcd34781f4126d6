// LDLQ: quantizes column blocks from last to first and feeds the error of the finished ones into
// the next, so that the error that matters, tr(E H E^T), is smallest. Source: QuIP (Chee et al.,
// 2023, arXiv 2307.13304), block form of QuIP# (arXiv 2402.04396).
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_LDLQ_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_LDLQ_H_

#include <cstdint>
#include <functional>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/formats/qtip/qtip_block_ldl.h"

namespace qtipd {

// Quantizes one block of 16 columns: `target` [out_features][16] in, its approximation `decoded` of
// the same shape out. `block` counts from the left.
using QuantizeColumns = std::function<absl::Status(int64_t block, std::span<const float> target,
                                                   std::span<float> decoded)>;

// Runs LDLQ over `weights` [out, in], leaves E = weights - decoded there and returns tr(E H E^T).
// Blocking. Errors: the first of `quantize`; Cancelled.
absl::StatusOr<double> RunLdlq(ThreadPool& pool, const Progress& progress, const BlockLdl& factor,
                               std::span<float> weights, Shape shape,
                               const QuantizeColumns& quantize);

// tr(W H W^T) for W [out, in]. Errors: Cancelled.
absl::StatusOr<double> HessianEnergy(ThreadPool& pool, const Progress& progress,
                                     const BlockLdl& factor, std::span<const float> weights,
                                     Shape shape);

// Upper bounds of the scratch memory of these two.
uint64_t QtipLdlqBytes(Shape shape);
uint64_t QtipEnergyBytes(Shape shape);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_LDLQ_H_
