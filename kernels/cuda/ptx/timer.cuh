// Clocks of the GPU.
#ifndef QTIPD_KERNELS_CUDA_PTX_TIMER_CUH_
#define QTIPD_KERNELS_CUDA_PTX_TIMER_CUH_

#include <cstdint>

namespace qtipd {

// Nanoseconds of the GPU-wide timer; ticks coarsely (about a microsecond).
__device__ __forceinline__ uint64_t GlobalTimerNanoseconds() {
  uint64_t nanoseconds;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(nanoseconds));
  return nanoseconds;
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_PTX_TIMER_CUH_
