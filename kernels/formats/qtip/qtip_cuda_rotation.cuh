// What the rotation kernels share: arguments, butterflies in registers, and how a block's part of a
// vector lies in shared memory.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ROTATION_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ROTATION_CUH_

#include <cuda_fp16.h>

#include "kernels/api/host_device.h"
#include "kernels/cuda/half_words.cuh"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"
#include "kernels/formats/qtip/qtip_cuda_rotation.h"
#include "kernels/formats/qtip/qtip_cuda_rotation_layout.h"

namespace qtipd {

enum class RotationKind { kInput, kUnscaled, kOutput };

// Shared-memory position of element i: one word of padding every 16 makes the stride-16 access of
// the first stages free of bank conflicts.
__device__ __forceinline__ int Padded(int i) { return i + (i >> 4); }

template <int kSize>
__device__ __forceinline__ void Butterflies(float (&v)[kSize]) {
#pragma unroll
  for (int half = 1; half < kSize; half *= 2) {
#pragma unroll
    for (int i = 0; i < kSize; ++i) {
      if ((i & half) != 0) continue;
      const float a = v[i];
      const float b = v[i + half];
      v[i] = a + b;
      v[i + half] = a - b;
    }
  }
}

struct RotationArguments {
  const void* source;
  void* destination;
  const float* scale;  // su or sv of all shards; null for kUnscaled
  int features;        // of one shard
  int shards;
  int local;
  float factor;
  bool is_bf16;  // the activations: source of kInput, else destination; fp16 where it is not
};

// Whether the destination is BF16: u is always fp16.
template <RotationKind kKind>
__device__ __forceinline__ bool WritesBf16(const RotationArguments& args) {
  return kKind != RotationKind::kInput && args.is_bf16;
}

// The scales of vector `vector`: vectors are the shards of one activation after the other.
__device__ __forceinline__ const float* ScalesOf(const RotationArguments& args, int64_t vector) {
  return args.shards == 1 ? args.scale : args.scale + vector % args.shards * args.features;
}

__device__ __forceinline__ void LoadFloats(const float* from, float (&v)[kPerThread]) {
#pragma unroll
  for (int i = 0; i < kPerThread / 4; ++i) {
    const float4 four = reinterpret_cast<const float4*>(from)[i];
    v[4 * i] = four.x;
    v[4 * i + 1] = four.y;
    v[4 * i + 2] = four.z;
    v[4 * i + 3] = four.w;
  }
}

// A thread's elements of the first stages: consecutive ones, 32 or 64 bytes. `is_bf16` counts where
// they are activations.
template <RotationKind kKind>
__device__ __forceinline__ void LoadConsecutive(const void* source, int64_t index, bool is_bf16,
                                                float (&v)[kPerThread]) {
  if constexpr (kKind == RotationKind::kInput) {
    const auto* x = reinterpret_cast<const uint4*>(static_cast<const uint16_t*>(source) + index);
    const uint4 low = x[0];
    const uint4 high = x[1];
    const uint32_t words[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
    WidenWords(words, is_bf16, v);
  } else {
    LoadFloats(static_cast<const float*>(source) + index, v);
  }
}

// The kernels for sizes of order `rotation.order` > 1, in qtip_cuda_rotation_order.cu. `base` lacks
// what follows from the configuration.
template <RotationKind kKind>
absl::Status LaunchOrderRotation(const CudaDevice& device, const CudaRotation& rotation,
                                 const RotationConfig& config, int64_t vectors,
                                 const RotationArguments& base);
extern template absl::Status LaunchOrderRotation<RotationKind::kInput>(const CudaDevice&,
                                                                       const CudaRotation&,
                                                                       const RotationConfig&,
                                                                       int64_t,
                                                                       const RotationArguments&);
extern template absl::Status LaunchOrderRotation<RotationKind::kUnscaled>(const CudaDevice&,
                                                                          const CudaRotation&,
                                                                          const RotationConfig&,
                                                                          int64_t,
                                                                          const RotationArguments&);
extern template absl::Status LaunchOrderRotation<RotationKind::kOutput>(const CudaDevice&,
                                                                        const CudaRotation&,
                                                                        const RotationConfig&,
                                                                        int64_t,
                                                                        const RotationArguments&);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_ROTATION_CUH_
