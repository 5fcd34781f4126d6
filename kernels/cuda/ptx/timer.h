// Clocks of the GPU.
#ifndef QTIPD_KERNELS_CUDA_PTX_TIMER_H_
#define QTIPD_KERNELS_CUDA_PTX_TIMER_H_

#include <cstdint>

namespace qtipd::ptx {

// Nanoseconds of the GPU-wide timer; ticks coarsely (about a microsecond).
__device__ __forceinline__ uint64_t GlobalTimerNanoseconds() {
  uint64_t nanoseconds;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(nanoseconds));
  return nanoseconds;
}

}  // namespace qtipd::ptx

#endif  // QTIPD_KERNELS_CUDA_PTX_TIMER_H_
