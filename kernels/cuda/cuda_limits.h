// What launch configurations depend on of a GPU: they are functions of the problem and of this.
#ifndef QTIPD_KERNELS_CUDA_CUDA_LIMITS_H_
#define QTIPD_KERNELS_CUDA_CUDA_LIMITS_H_

#include <cstddef>

namespace qtipd {

struct CudaLimits {
  int multiprocessors = 0;
  size_t shared_bytes = 0;     // that one block may ask for
  int compute_capability = 0;  // 90 for 9.0
  // Matrix instructions of four warps (ptx/warpgroup_mma.h): 9.0 alone, where this build has them.
  bool has_warpgroup_mma = false;

  // Blocks that read each other's shared memory, and grids that start before the last one ends.
  constexpr bool has_clusters() const { return compute_capability >= 90; }
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUDA_LIMITS_H_
