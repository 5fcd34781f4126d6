// The table of format "lut" at 1 bit and more than eight vectors, beside whose activations the
// fragments of four blocks do not fit in registers: a byte of indices looks up two pairs of
// weights, of blocks 0 and 1 in one table and of blocks 2 and 3 in another behind it.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_HALVES_CUH_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_HALVES_CUH_

#include "kernels/formats/lut/lut_cuda_step.cuh"

namespace qtipd {

struct LutHalvesTable {
  static constexpr int kBlocksAtOnce = kLutUnitBlocks / 2;
  static constexpr int kHalfBytes = 256 * kLutTableRow;
  static constexpr int kHalfPieces = kHalfBytes / 16;  // eight of them an entry
  static constexpr int kMostPieces = 2 * kHalfPieces / kLutLeastThreads;

  struct Values {
    uint2 word[kMostPieces];
  };

  // As LutTensorTable<1>::Load, of the same table.
  static __device__ __forceinline__ Values Load(const void* table) {
    Values values;
#pragma unroll
    for (int i = 0; i < kMostPieces; ++i) {
      const int piece = threadIdx.x + i * blockDim.x;
      if (piece >= 2 * kHalfPieces) continue;
      const int entry = piece % kHalfPieces / 8;
      values.word[i] = __ldg(static_cast<const uint2*>(table) + 2 * entry + piece / kHalfPieces);
    }
    return values;
  }

  static __device__ __forceinline__ void Fill(uint32_t* shared, const Values& values) {
#pragma unroll
    for (int i = 0; i < kMostPieces; ++i) {
      const int piece = threadIdx.x + i * blockDim.x;
      if (piece >= 2 * kHalfPieces) continue;
      const uint2 v = values.word[i];
      reinterpret_cast<uint4*>(shared)[piece] = make_uint4(v.x, v.y, v.x, v.y);
    }
  }

  __device__ __forceinline__ explicit LutHalvesTable(const uint32_t* shared) {
    if (ptx::SharedAddress(shared) != ptx::kDynamicSharedBase) __trap();
    offset = threadIdx.x % 16 * 8;
  }

  // The A fragments of step `t` of blocks `first` and `first` + 1.
  __device__ __forceinline__ void Fragments(const uint32_t (&word)[4], int first, int t,
                                            uint32_t (&a)[kBlocksAtOnce][4]) const {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint32_t at =
          LutAddressOfByte<1>(word[2 * (t / 2) + i % 2], 2 * (t % 2) + i / 2, offset);
      const uint2 two = first == 0 ? ptx::LoadSharedAt64<ptx::kDynamicSharedBase>(at)
                                   : ptx::LoadSharedAt64<ptx::kDynamicSharedBase + kHalfBytes>(at);
      a[0][i] = two.x;
      a[1][i] = two.y;
    }
  }

  __device__ __forceinline__ void SelectRows(const void*, int) {}
  static __device__ __forceinline__ int SharedBytes() { return 2 * kHalfBytes; }

  uint32_t offset;  // of this lane's replica
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_HALVES_CUH_
