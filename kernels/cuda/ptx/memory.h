// Loads that the compiler does not choose by itself.
#ifndef QTIPD_KERNELS_CUDA_PTX_MEMORY_H_
#define QTIPD_KERNELS_CUDA_PTX_MEMORY_H_

#include <cstdint>

namespace qtipd::ptx {

// Read-once data: past L1, in 256-byte L2 requests. Volatile, so that prefetches stay where they
// are written.
__device__ __forceinline__ uint4 LoadStreaming128(const void* p) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.L2::256B.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p));
  return v;
}

__device__ __forceinline__ uint2 LoadStreaming64(const void* p) {
  uint2 v;
  asm volatile("ld.global.nc.L1::no_allocate.L2::256B.v2.u32 {%0,%1}, [%2];"
               : "=r"(v.x), "=r"(v.y)
               : "l"(p));
  return v;
}

// The same where `condition` holds; elsewhere `v` keeps its value. One predicated instruction: a
// branch around a load would cut the code that the compiler can interleave. Unlike the loads above
// it keeps its place among the accesses around a __syncwarp(), so that a prefetch whose value only
// the next round of a loop needs is not put off to the end of this one.
__device__ __forceinline__ void LoadStreaming128If(uint4& v, const void* p, bool condition) {
  asm volatile(
      "{ .reg .pred p; setp.ne.u32 p, %5, 0;"
      " @p ld.global.L1::no_allocate.L2::256B.v4.u32 {%0, %1, %2, %3}, [%4]; }"
      : "+r"(v.x), "+r"(v.y), "+r"(v.z), "+r"(v.w)
      : "l"(p), "r"(static_cast<uint32_t>(condition))
      : "memory");
}

__device__ __forceinline__ void LoadStreaming64If(uint2& v, const void* p, bool condition) {
  asm volatile(
      "{ .reg .pred p; setp.ne.u32 p, %3, 0;"
      " @p ld.global.L1::no_allocate.L2::256B.v2.u32 {%0, %1}, [%2]; }"
      : "+r"(v.x), "+r"(v.y)
      : "l"(p), "r"(static_cast<uint32_t>(condition))
      : "memory");
}

__device__ __forceinline__ void LoadStreaming32If(uint32_t& v, const void* p, bool condition) {
  asm volatile(
      "{ .reg .pred p; setp.ne.u32 p, %2, 0;"
      " @p ld.global.L1::no_allocate.L2::256B.u32 %0, [%1]; }"
      : "+r"(v)
      : "l"(p), "r"(static_cast<uint32_t>(condition))
      : "memory");
}

// Data that other warps of the block load too, kept in L1; volatile for the same reason. Not of the
// non-coherent kind: a grid before this one may have written it.
__device__ __forceinline__ uint4 LoadCached128(const void* p) {
  uint4 v;
  asm volatile("ld.global.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p));
  return v;
}

// A word that the host may write meanwhile; never from a cache.
__device__ __forceinline__ uint32_t LoadSystem(const uint32_t* p) {
  uint32_t v;
  asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
  return v;
}

// Address of `p` in the shared-memory window.
__device__ __forceinline__ uint32_t SharedAddress(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// The word at shared-memory address kBase + offset, the base folded into the instruction.
template <uint32_t kBase>
__device__ __forceinline__ uint32_t LoadSharedAt(uint32_t offset) {
  uint32_t v;
  asm volatile("ld.shared.u32 %0, [%1+%2];" : "=r"(v) : "r"(offset), "n"(kBase));
  return v;
}

// The float at a shared-memory address.
__device__ __forceinline__ float LoadShared(uint32_t address) {
  float v;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(v) : "r"(address) : "memory");
  return v;
}

// Stores where `condition` holds, without a branch.
__device__ __forceinline__ void StoreSharedIf(uint32_t address, float v, bool condition) {
  asm volatile("{ .reg .pred p; setp.ne.u32 p, %2, 0; @p st.shared.f32 [%0], %1; }" ::"r"(address),
               "f"(v), "r"(static_cast<uint32_t>(condition))
               : "memory");
}

// (a & kMask) | b in one instruction; from C the compiler makes two of it.
template <uint32_t kMask>
__device__ __forceinline__ uint32_t MaskOr(uint32_t a, uint32_t b) {
  uint32_t d;
  asm("lop3.b32 %0, %1, %2, %3, 0xEA;" : "=r"(d) : "r"(a), "n"(kMask), "r"(b));
  return d;
}

// (a & mask) ^ flip in one instruction, the constants in registers.
__device__ __forceinline__ uint32_t MaskFlip(uint32_t a, uint32_t mask, uint32_t flip) {
  uint32_t d;
  asm("lop3.b32 %0, %1, %2, %3, 0x6A;" : "=r"(d) : "r"(a), "r"(mask), "r"(flip));
  return d;
}

}  // namespace qtipd::ptx

#endif  // QTIPD_KERNELS_CUDA_PTX_MEMORY_H_
