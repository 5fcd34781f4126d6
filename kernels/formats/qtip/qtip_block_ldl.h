// Block LDL of a Hessian on the host, for LDLQ: H = L D L^T with blocks of 16 columns, where H lay.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_BLOCK_LDL_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_BLOCK_LDL_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"
#include "kernels/cpu/thread_pool.h"

namespace qtipd {

// H = L D L^T with unit block-lower-triangular L, blocks of 16 columns.
struct BlockLdl {
  int64_t size = 0;
  // L [size, size] row-major, its diagonal blocks zero; what lies above them means nothing. Memory
  // of the matrix that was factored.
  std::span<const float> lower;
  std::vector<float> pivots;  // [size/16][16][16], lower triangular C with D_c = C C^T
};

// Factors a symmetric matrix [size, size], size a multiple of 16, whose memory the factor takes
// over. In double precision but for the rounding of the matrix and of its factors to fp32; takes
// QtipFactorBytes of scratch memory. Calls OpenBLAS, on its own threads.
// Errors: InvalidArgument/HESSIAN_NOT_POSITIVE_DEFINITE; Cancelled.
absl::StatusOr<BlockLdl> FactorBlockLdl(ThreadPool& pool, const Progress& progress,
                                        std::span<float> hessian, int64_t size);

// Upper bound of the scratch memory of FactorBlockLdl, and bytes of the pivots that it returns.
uint64_t QtipFactorBytes(int64_t size);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_BLOCK_LDL_H_
