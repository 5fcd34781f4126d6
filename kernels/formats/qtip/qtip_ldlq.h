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

// A block of 16 columns of a strip of rows. Both count from the start of the matrix.
struct LdlqBlock {
  int slot;  // whose strip it is: strips that run at the same time have different ones
  int64_t first_row;
  int64_t block;
};

// Quantizes one block: `target` [rows of the strip][16] in, its approximation `decoded` of the same
// shape out. Called for several strips at a time.
using QuantizeColumns = std::function<absl::Status(
    const LdlqBlock& at, std::span<const float> target, std::span<float> decoded)>;

// Rows do not depend on each other, so a strip of them goes through all columns on one thread, and
// no thread waits for another.
struct LdlqStrips {
  int64_t rows = 0;  // of a strip, but for the last
  int slots = 1;     // strips at a time, at most
};

struct LdlqEnergies {
  double error = 0;    // tr(E H E^T)
  double weights = 0;  // tr(W H W^T)
};

// Runs LDLQ over `weights` W [out, in] and leaves E = W - decoded there. Blocking. Errors: the
// first of `quantize`; Cancelled.
absl::StatusOr<LdlqEnergies> RunLdlq(ThreadPool& pool, const LdlqStrips& strips,
                                     const Progress& progress, const BlockLdl& factor,
                                     std::span<float> weights, Shape shape,
                                     const QuantizeColumns& quantize);

// Upper bound of its scratch memory.
uint64_t QtipLdlqBytes(Shape shape, const LdlqStrips& strips);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_LDLQ_H_
