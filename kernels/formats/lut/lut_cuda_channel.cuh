// Codebooks of output channels for the fused kernels of format "lut": a warp copies those of its 16
// rows to shared memory, or at 8 bits reads them through L1, and looks weights up one by one.
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_CHANNEL_CUH_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_CHANNEL_CUH_

#include <cstdint>

#include "kernels/formats/lut/lut_cuda_step.cuh"

namespace qtipd {

template <int kBits>
struct LutChannelTable {
  static constexpr int kStepsAtOnce = 1;
  static constexpr int kEntries = 1 << kBits;
  static constexpr int kWarpBytes = LutChannelBytes(kBits);

  struct Values {};
  static __device__ __forceinline__ Values Load(const void*) { return {}; }
  static __device__ __forceinline__ void Fill(uint32_t*, const Values&) {}
  static __device__ __forceinline__ int SharedBytes() {
    return static_cast<int>(blockDim.x) / 32 * kWarpBytes;
  }

  __device__ __forceinline__ explicit LutChannelTable(uint32_t* shared)
      : books(reinterpret_cast<uint16_t*>(shared) + threadIdx.x / 32 * (kWarpBytes / 2)) {}

  // From here on fragments are those of row block `row_block`. All lanes.
  __device__ __forceinline__ void SelectRows(const void* table, int row_block) {
    const auto* from = static_cast<const uint16_t*>(table) +
                       static_cast<int64_t>(row_block) * kLutUnitRows * kEntries;
    const int lane = threadIdx.x % 32;
    if constexpr (kBits == 8) {
      of_lane = from + lane / 4 * kEntries;
    } else {
      __syncwarp();  // nobody reads the last ones any more
      if (lane * 16 < kWarpBytes) {
        reinterpret_cast<uint4*>(books)[lane] = __ldg(reinterpret_cast<const uint4*>(from) + lane);
      }
      __syncwarp();
      of_lane = books + lane / 4 * kEntries;
    }
  }

  // The A fragment of step `t` of a block.
  template <int kCount>
  __device__ __forceinline__ void Fragments(const uint32_t (&word)[kCount], int block, int t,
                                            uint32_t (&fragments)[1][4]) const {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint16_t* book = of_lane + i % 2 * (kLutUnitRows / 2 * kEntries);
      const int m = 2 * (4 * t + i);
      fragments[0][i] = uint32_t{book[LutIndexInWords<kBits>(word, block, m)]} |
                        uint32_t{book[LutIndexInWords<kBits>(word, block, m + 1)]} << 16;
    }
  }

  uint16_t* books;
  const uint16_t* of_lane = nullptr;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CUDA_CHANNEL_CUH_
