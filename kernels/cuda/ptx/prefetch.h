// Fetching ahead of loads.
#ifndef QTIPD_KERNELS_CUDA_PTX_PREFETCH_H_
#define QTIPD_KERNELS_CUDA_PTX_PREFETCH_H_

namespace qtipd::ptx {

// Brings the line of `p`, global memory, into L2.
__device__ __forceinline__ void PrefetchToL2(const void* p) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(p));
}

}  // namespace qtipd::ptx

#endif  // QTIPD_KERNELS_CUDA_PTX_PREFETCH_H_
