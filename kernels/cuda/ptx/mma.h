// Tensor-core instructions.
#ifndef QTIPD_KERNELS_CUDA_PTX_MMA_H_
#define QTIPD_KERNELS_CUDA_PTX_MMA_H_

#include <cstdint>

namespace qtipd::ptx {

// d += a b, fp16 operands and fp32 accumulators, one warp. Fragments as in the PTX ISA, section
// "Matrix fragments for mma.m16n8k16": a 16x16 row-major, b 16x8 column-major, d 16x8.
__device__ __forceinline__ void MmaM16N8K16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                            uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

}  // namespace qtipd::ptx

#endif  // QTIPD_KERNELS_CUDA_PTX_MMA_H_
