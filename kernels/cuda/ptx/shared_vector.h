// Wide loads from shared memory at an address whose base folds into the instruction.
#ifndef QTIPD_KERNELS_CUDA_PTX_SHARED_VECTOR_H_
#define QTIPD_KERNELS_CUDA_PTX_SHARED_VECTOR_H_

#include <cstdint>

namespace qtipd::ptx {

// Where dynamic shared memory begins in a kernel without static shared memory: from compute
// capability 9.0 after the 1 KiB that the system keeps, before that at 0. A kernel that relies on
// it compares it with SharedAddress.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
inline constexpr uint32_t kDynamicSharedBase = 0;
#else
inline constexpr uint32_t kDynamicSharedBase = 1024;
#endif

// 8 bytes at shared-memory address kBase + offset, which is a multiple of 8.
template <uint32_t kBase>
__device__ __forceinline__ uint2 LoadSharedAt64(uint32_t offset) {
  uint2 v;
  asm volatile("ld.shared.v2.u32 {%0, %1}, [%2+%3];"
               : "=r"(v.x), "=r"(v.y)
               : "r"(offset), "n"(kBase));
  return v;
}

// 16 bytes at shared-memory address kBase + offset, which is a multiple of 16.
template <uint32_t kBase>
__device__ __forceinline__ uint4 LoadSharedAt128(uint32_t offset) {
  uint4 v;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4+%5];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "r"(offset), "n"(kBase));
  return v;
}

}  // namespace qtipd::ptx

#endif  // QTIPD_KERNELS_CUDA_PTX_SHARED_VECTOR_H_
