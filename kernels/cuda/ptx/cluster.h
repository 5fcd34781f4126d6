// Thread block clusters: blocks that read each other's shared memory (compute capability 9.0).
// Below that kernels which use them are compiled, so that one source serves every architecture, but
// not launched; if one were, it would end here rather than compute something else.
#ifndef QTIPD_KERNELS_CUDA_PTX_CLUSTER_H_
#define QTIPD_KERNELS_CUDA_PTX_CLUSTER_H_

#include <cooperative_groups.h>

namespace qtipd::ptx {

// The calling block's number within its cluster.
__device__ __forceinline__ int ClusterRank() {
#if __CUDA_ARCH__ >= 900
  return static_cast<int>(cooperative_groups::this_cluster().block_rank());
#else
  __trap();
  return 0;
#endif
}

// Waits for all threads of the cluster; what they wrote to shared memory before is visible.
__device__ __forceinline__ void SynchroniseCluster() {
#if __CUDA_ARCH__ >= 900
  cooperative_groups::this_cluster().sync();
#else
  __trap();
#endif
}

// Where block `rank` of the cluster has what the calling block has at `shared`.
template <typename T>
__device__ __forceinline__ T* SharedOfRank(T* shared, int rank) {
#if __CUDA_ARCH__ >= 900
  return cooperative_groups::this_cluster().map_shared_rank(shared, rank);
#else
  __trap();
  return shared;
#endif
}

}  // namespace qtipd::ptx

#endif  // QTIPD_KERNELS_CUDA_PTX_CLUSTER_H_
