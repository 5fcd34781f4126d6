// Clocks of the GPU.
#ifndef QTIPD_KERNELS_CUDA_PTX_TIMER_H_
#define QTIPD_KERNELS_CUDA_PTX_TIMER_H_

#include <cstdint>

namespace qtipd::ptx {

// Nanoseconds of the GPU-wide timer; ticks coarsely (1 us and more before Hopper).
__device__ __forceinline__ uint64_t GlobalTimerNanoseconds() {
  uint64_t nanoseconds;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(nanoseconds));
  return nanoseconds;
}

// Cycles of this multiprocessor's clock; counters of different ones are not aligned.
__device__ __forceinline__ uint64_t ClockCycles() {
  uint64_t cycles;
  asm volatile("mov.u64 %0, %%clock64;" : "=l"(cycles));
  return cycles;
}

// Their low half, for differences below 2^32 cycles (two seconds): one register instead of two.
__device__ __forceinline__ uint32_t ClockCyclesLow() {
  uint32_t cycles;
  asm volatile("mov.u32 %0, %%clock;" : "=r"(cycles));
  return cycles;
}

// The multiprocessor that the calling thread runs on; ids may have gaps.
__device__ __forceinline__ uint32_t MultiprocessorId() {
  uint32_t id;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(id));
  return id;
}

}  // namespace qtipd::ptx

#endif  // QTIPD_KERNELS_CUDA_PTX_TIMER_H_
