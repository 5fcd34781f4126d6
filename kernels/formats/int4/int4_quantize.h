// The encoder on the CPU: W and H in, a packed layer out.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_QUANTIZE_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_QUANTIZE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"
#include "kernels/cpu/thread_pool.h"

namespace qtipd {

// Quantizes `problem.weights` on all threads of `pool`, in the memory of W and H: to the nearest
// code, or, by option encoder, column after column with each error fed back to the columns that
// follow (GPTQ, Frantar et al., 2022, arXiv 2210.17323, algorithm 1). A group's grid is chosen when
// its first column is reached, from the weights as fed back by then; that of a whole row from its
// weights at the beginning. Without a Hessian both encoders give the same. Blocks until done; the
// same bytes for every number of the pool's threads.
// Fills `report` with the proxy error and the seconds of factor and encode.
// Errors: SHAPE_UNSUPPORTED, HESSIAN_SHAPE_INVALID, HESSIAN_NOT_SYMMETRIC,
// HESSIAN_NOT_POSITIVE_DEFINITE; WEIGHTS_OUT_OF_RANGE where a scale is beyond its type; Cancelled.
absl::StatusOr<PackedLayer> QuantizeInt4OnCpu(ThreadPool& pool, const QuantizeProblem& problem,
                                              Progress& progress, QuantizeReport& report);

// Upper bound of the host memory that QuantizeInt4OnCpu takes beside W, H and the result.
uint64_t Int4CpuWorkspaceBytes(Shape shape, bool has_hessian, int threads);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_QUANTIZE_H_
