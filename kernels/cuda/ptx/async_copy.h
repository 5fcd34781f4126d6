// Copies from global to shared memory that the issuing thread does not wait for, and the barriers
// in shared memory that tell when their bytes are there. Shared memory is addressed as in
// SharedAddress.
//
// Source: PTX ISA 9.0, "mbarrier", "cp.async", "cp.async.bulk".
#ifndef QTIPD_KERNELS_CUDA_PTX_ASYNC_COPY_H_
#define QTIPD_KERNELS_CUDA_PTX_ASYNC_COPY_H_

#include <cstdint>

namespace qtipd::ptx {

// Whether this compilation has bulk copies (compute capability 9.0).
__device__ __forceinline__ constexpr bool HasBulkCopies() {
#if __CUDA_ARCH__ >= 900
  return true;
#else
  return false;
#endif
}

// A barrier of 8 bytes whose phases end after `arrivals` arrivals, and all bytes announced. One
// thread; others may use it after FenceBarriers() and a barrier of threads.
__device__ __forceinline__ void InitBarrier(uint32_t barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

// One arrival at `barrier`: what the thread has read or written before is done.
__device__ __forceinline__ void Arrive(uint32_t barrier) {
  asm volatile("{ .reg .b64 state; mbarrier.arrive.shared.b64 state, [%0]; }" ::"r"(barrier)
               : "memory");
}

// Lets bulk copies see the barriers that the calling thread has made.
__device__ __forceinline__ void FenceBarriers() {
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

// Waits for the end of a phase: the first has parity 0, the next 1, and so on. What was copied for
// it is visible then.
__device__ __forceinline__ void WaitBarrier(uint32_t barrier, uint32_t parity) {
  uint32_t is_done;
  do {
#if __CUDA_ARCH__ >= 900
    asm volatile(
        "{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;"
        " selp.u32 %0, 1, 0, p; }"
        : "=r"(is_done)
        : "r"(barrier), "r"(parity)
        : "memory");
#else
    asm volatile(
        "{ .reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], %2;"
        " selp.u32 %0, 1, 0, p; }"
        : "=r"(is_done)
        : "r"(barrier), "r"(parity)
        : "memory");
#endif
  } while (is_done == 0);
}

// True on one lane of a converged warp, which the compiler then knows to be one: it moves operands
// of bulk copies to uniform registers without a loop over lanes. Compute capability 9.0; traps
// elsewhere.
__device__ __forceinline__ bool ElectOne() {
#if __CUDA_ARCH__ >= 900
  uint32_t is_elected;
  asm volatile("{ .reg .pred p; elect.sync _|p, 0xFFFFFFFF; selp.u32 %0, 1, 0, p; }"
               : "=r"(is_elected));
  return is_elected != 0;
#else
  __trap();
  return false;
#endif
}

// One arrival at `barrier` that announces `bytes`, and a copy of them. Addresses and `bytes` are
// multiples of 16. To be issued by one thread, compute capability 9.0; traps elsewhere.
__device__ __forceinline__ void CopyBulk(uint32_t shared, const void* global, uint32_t bytes,
                                         uint32_t barrier) {
#if __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(shared),
      "l"(global), "r"(bytes), "r"(barrier)
      : "memory");
#else
  __trap();
#endif
}

// 16 bytes, past L1. Both addresses are multiples of 16.
__device__ __forceinline__ void CopyAsync16(uint32_t shared, const void* global) {
  asm volatile("cp.async.cg.shared.global.L2::256B [%0], [%1], 16;" ::"r"(shared), "l"(global)
               : "memory");
}

// The same where `condition` holds; elsewhere the 16 bytes become zero, and `global` is not read.
__device__ __forceinline__ void CopyAsync16OrZero(uint32_t shared, const void* global,
                                                  bool condition) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(global),
               "r"(condition ? 16 : 0)
               : "memory");
}

// An arrival at `barrier` once all copies of 16 bytes that the calling thread has issued are done:
// one of those that InitBarrier counted.
__device__ __forceinline__ void ArriveAfterCopies(uint32_t barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(barrier) : "memory");
}

// Waits for all copies of 16 bytes that the calling thread has issued; other threads see them after
// a barrier of threads.
__device__ __forceinline__ void WaitForOwnCopies() {
  asm volatile("cp.async.wait_all;" ::: "memory");
}

}  // namespace qtipd::ptx

#endif  // QTIPD_KERNELS_CUDA_PTX_ASYNC_COPY_H_
