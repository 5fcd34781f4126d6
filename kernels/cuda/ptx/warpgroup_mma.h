// Matrix instructions of four warps, whose B operand lies in shared memory: they run beside other
// instructions, and B takes no registers and no loads. Compute capability 9.0 alone, in code that
// is compiled for 90a; traps elsewhere.
//
// A warpgroup is four consecutive warps, the first a multiple of 4; all functions are for all its
// lanes at once.
//
// Source: PTX ISA 9.0, "wgmma".
#ifndef QTIPD_KERNELS_CUDA_PTX_WARPGROUP_MMA_H_
#define QTIPD_KERNELS_CUDA_PTX_WARPGROUP_MMA_H_

#include <cstdint>

namespace qtipd::ptx {

// Before the first instruction of a batch: what its registers were written with is seen.
__device__ __forceinline__ void WarpgroupFence() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#else
  __trap();
#endif
}

// Ends a batch.
__device__ __forceinline__ void WarpgroupCommit() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#else
  __trap();
#endif
}

// Waits until all batches but the last kPending ones are done.
template <int kPending>
__device__ __forceinline__ void WarpgroupWait() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
#else
  __trap();
#endif
}

// Says that WarpgroupWait gives these their values, so that no use of them is moved before it.
__device__ __forceinline__ void WarpgroupDone(float (&d)[4]) {
  asm volatile("" : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])::"memory");
}

// The warp's number in the block, which the compiler then knows to be the same on all lanes: what
// follows from it can lie in uniform registers.
__device__ __forceinline__ int UniformWarp() {
  return __shfl_sync(0xFFFFFFFFu, static_cast<int>(threadIdx.x / 32), 0);
}

// B of 16 rows (k) and N columns, fp16, as 8x8 matrices of 128 consecutive bytes, a column after
// the other: for each eight columns k 0 to 7, then k 8 to 15. `address` in shared memory is a
// multiple of 16.
__device__ __forceinline__ uint64_t WarpgroupOperandB(uint32_t address) {
  constexpr uint64_t kNextRows = 128 / 16;     // bytes from k 0 to k 8, in units of 16
  constexpr uint64_t kNextColumns = 256 / 16;  // from a column to the eighth after it
  return ((address & 0x3FFFFu) >> 4) | kNextRows << 16 | kNextColumns << 32;
}

// d = a b, or d += a b where kAdds: A fp16 64x16, of which each warp of the group holds 16 rows as
// in mma.m16n8k16, B as above, d fp32 64x(8 kTiles): d[t] are columns 8 t to 8 t + 7 of the warp's
// rows, as there. Done after WarpgroupWait; neither `d` nor `a` may be touched before.
template <int kTiles, bool kAdds = true>
__device__ __forceinline__ void WarpgroupMma(float (&d)[kTiles][4], const uint32_t (&a)[4],
                                             uint64_t b) {
  static_assert(kTiles == 2 || kTiles == 4);
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  if constexpr (kTiles == 2) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n16k16.f32.f16.f16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7}, {%8,%9,%10,%11}, %12, %13, 1, 1, 0;"
        : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]),
          "+f"(d[1][2]), "+f"(d[1][3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(kAdds ? 1 : 0));
  } else {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n32k16.f32.f16.f16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, {%16,%17,%18,%19}, %20, %21, 1, "
        "1, 0;"
        : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]),
          "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]),
          "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(kAdds ? 1 : 0));
  }
#else
  __trap();
#endif
}

}  // namespace qtipd::ptx

#endif  // QTIPD_KERNELS_CUDA_PTX_WARPGROUP_MMA_H_
