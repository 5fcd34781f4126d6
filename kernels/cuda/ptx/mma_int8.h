// Tensor-core instructions on bytes.
#ifndef QTIPD_KERNELS_CUDA_PTX_MMA_INT8_H_
#define QTIPD_KERNELS_CUDA_PTX_MMA_INT8_H_

#include <cstdint>

namespace qtipd::ptx {

// d += a b, unsigned bytes a, signed bytes b, 32-bit sums, one warp. Fragments as in the PTX ISA,
// section "Matrix fragments for mma.m16n8k32": a 16x32 row-major, b 32x8 column-major, d 16x8.
__device__ __forceinline__ void MmaM16N8K32(int32_t (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                            uint32_t b1) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

}  // namespace qtipd::ptx

#endif  // QTIPD_KERNELS_CUDA_PTX_MMA_INT8_H_
