// What the fused kernel of a whole linear does beside decoding and multiplying.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LINEAR_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LINEAR_CUH_

#include "kernels/formats/qtip/qtip_cuda_fused_common.cuh"
#include "kernels/formats/qtip/qtip_cuda_linear.h"
#include "kernels/formats/qtip/qtip_cuda_rotation.cuh"

namespace qtipd {

template <>
struct ProbeOf<LinearArguments> {
  using Type = NoProbe;
};

// The input transform of kSize elements, 2048 to 8192, by one block.
template <int kSize>
class BlockRotation {
 public:
  // Signs never change: before the wait for the grids before this one.
  __device__ __forceinline__ void LoadSigns(const float* su) {
    if (IsBusy()) LoadFloats(su + First(), signs_);
  }
  // To `rotated` in shared memory; `part` holds PaddedCount(kSize) floats. Ends with a barrier.
  __device__ __forceinline__ void Rotate(const void* x, bool is_bf16, float factor, float* part,
                                         __half* rotated) const {
    if (IsBusy()) {
      float v[kPerThread];
      LoadConsecutive<RotationKind::kInput>(x, First(), is_bf16, v);
#pragma unroll
      for (int k = 0; k < kPerThread; ++k) v[k] *= signs_[k];
      Butterflies(v);
#pragma unroll
      for (int k = 0; k < kPerThread; ++k) part[Padded(First() + k)] = v[k];
    }
    __syncthreads();
    if constexpr (kSize == 8192) {
      Stages<3, 4, false>(part, rotated, factor);
      Stages<3, 7, false>(part, rotated, factor);
      Stages<3, 10, true>(part, rotated, factor);
    } else {
      Stages<4, 4, false>(part, rotated, factor);
      Stages<kSize == 4096 ? 4 : 3, 8, true>(part, rotated, factor);
    }
  }

 private:
  static_assert(kSize == 2048 || kSize == 4096 || kSize == 8192);
  __device__ static int First() { return static_cast<int>(threadIdx.x) * kPerThread; }
  __device__ static bool IsBusy() { return First() < kSize; }

  // Stages [kBit, kBit + kStages), then a barrier.
  template <int kStages, int kBit, bool kIsLast>
  __device__ __forceinline__ static void Stages(float* part, __half* rotated, float factor) {
    constexpr int kCount = 1 << kStages;
    constexpr int kLowMask = (1 << kBit) - 1;
    for (int item = threadIdx.x; item < kSize / kCount; item += kDecodeThreads) {
      const int base = ((item & ~kLowMask) << kStages) | (item & kLowMask);
      float v[kCount];
#pragma unroll
      for (int k = 0; k < kCount; ++k) v[k] = part[Padded(base + (k << kBit))];
      Butterflies(v);
#pragma unroll
      for (int k = 0; k < kCount; ++k) {
        const int index = base + (k << kBit);
        if constexpr (kIsLast) {
          rotated[index] = __float2half_rn(v[k] * factor);
        } else {
          part[Padded(index)] = v[k];
        }
      }
    }
    __syncthreads();
  }

  float signs_[kPerThread] = {};
};

// As for other arguments, with the stages of the output transform that lie within a row block:
// to z[row of the block][row block].
template <int kColumns>
__device__ __forceinline__ void ReducePartials(const LinearArguments& args, const float* partials,
                                               int first_row, int rows, int parts) {
  static_assert(kColumns == 1);
  const int row_blocks = args.out_features / kUnitRows;
  const int values = rows * kUnitRows;
#pragma unroll 1
  for (int i = threadIdx.x; i < (values + 31) / 32 * 32; i += kDecodeThreads) {
    const int row = i / kUnitRows;
    const int value = i % kUnitRows;
    // Half warps beyond the end sum what the last row block has.
    const float* p = partials + min(row, rows - 1) * parts * kUnitRows + value;
    float sums[4] = {};
#pragma unroll
    for (int part = 0; part < kFusedWarps; ++part) {
      if (part < parts) sums[part % 4] += p[part * kUnitRows];
    }
    float sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
#pragma unroll
    for (int bit = 1; bit < kUnitRows; bit *= 2) {
      const float other = __shfl_xor_sync(0xFFFFFFFFu, sum, bit);
      sum = (value & bit) != 0 ? other - sum : sum + other;
    }
    if (i < values) args.z[static_cast<int64_t>(value) * row_blocks + first_row + row] = sum;
  }
}

template <typename Arguments>
inline constexpr bool kIsLinear = std::is_same_v<Arguments, LinearArguments>;

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LINEAR_CUH_
