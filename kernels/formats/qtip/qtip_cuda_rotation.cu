// A vector of up to 16384 elements is transformed by one block in shared memory, four butterfly
// stages at a time in registers. A longer one is spread over a cluster: each block transforms its
// contiguous part, then takes one slice of positions of all parts through distributed shared memory
// and finishes the stages between parts.
//
// One block a vector keeps the rotation off the multiprocessors that the fused kernel fills, so
// that both grids are resident at once and only the data dependence remains between them.
#include <cooperative_groups.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/api/error.h"
#include "kernels/api/host_device.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"
#include "kernels/formats/qtip/qtip_cuda_rotation.h"

namespace qtipd {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int kMaxBlocks = 8;  // the largest portable cluster
constexpr int64_t kPreferredLocal = 8192;
constexpr int64_t kMaxLocalWithoutCluster = 16384;

enum class Kind { kInput, kRotateOnly, kOutput };

constexpr int kStageBits = 4;  // butterfly stages between two exchanges through shared memory
constexpr int kPerThread = 1 << kStageBits;

// Shared-memory position of element i: one word of padding every 16 makes the stride-16 access of
// the first stages free of bank conflicts.
__device__ __forceinline__ int Padded(int i) { return i + (i >> 4); }
// A multiple of 16 bytes: the scales that follow are loaded four at a time.
QTIPD_HOST_DEVICE constexpr int PaddedCount(int local) { return (local + local / 16 + 3) / 4 * 4; }

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
  const float* scale;  // su or sv; null for kRotateOnly
  int features;
  int local;
  float factor;
};

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

// A thread's elements of the first stages: consecutive ones, 32 or 64 bytes.
template <Kind kKind>
__device__ __forceinline__ void LoadConsecutive(const RotationArguments& args, int64_t index,
                                                float (&v)[kPerThread]) {
  if constexpr (kKind == Kind::kInput) {
    const auto* x = reinterpret_cast<const uint4*>(static_cast<const __half*>(args.source) + index);
    const uint4 low = x[0];
    const uint4 high = x[1];
    const uint32_t words[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float2 pair = __half22float2(*reinterpret_cast<const __half2*>(&words[i]));
      v[2 * i] = pair.x;
      v[2 * i + 1] = pair.y;
    }
  } else {
    LoadFloats(static_cast<const float*>(args.source) + index, v);
  }
}

template <Kind kKind>
__device__ __forceinline__ void Store(const RotationArguments& args, int64_t vector, int index,
                                      float value, float scale) {
  if constexpr (kKind == Kind::kRotateOnly) {
    static_cast<float*>(args.destination)[vector + index] = value * args.factor;
  } else {
    static_cast<__half*>(args.destination)[vector + index] =
        __float2half_rn(value * args.factor * scale);
  }
}

// Stages [bit, bit + kStages) of the block's part; the last ones of a vector in one block go
// straight to memory.
template <Kind kKind, int kStages>
__device__ __forceinline__ void LocalStages(const RotationArguments& args, int64_t vector,
                                            float* part, const float* scale, int bit,
                                            bool is_last) {
  constexpr int kSize = 1 << kStages;
  const int low_mask = (1 << bit) - 1;
  for (int item = threadIdx.x; item < args.local / kSize; item += blockDim.x) {
    const int base = ((item & ~low_mask) << kStages) | (item & low_mask);
    float v[kSize];
#pragma unroll
    for (int k = 0; k < kSize; ++k) v[k] = part[Padded(base + (k << bit))];
    Butterflies(v);
#pragma unroll
    for (int k = 0; k < kSize; ++k) {
      const int index = base + (k << bit);
      if (is_last) {
        Store<kKind>(args, vector, index, v[k], kKind == Kind::kOutput ? scale[index] : 1.0f);
      } else {
        part[Padded(index)] = v[k];
      }
    }
  }
}

// The stages between the parts of a cluster: this block takes positions [rank, rank + 1) * local /
// kParts of every part.
template <Kind kKind, int kParts>
__device__ __forceinline__ void ClusterStages(const RotationArguments& args, int64_t vector,
                                              float* part) {
  namespace cg = cooperative_groups;
  const cg::cluster_group cluster = cg::this_cluster();
  const int slice = args.local / kParts;
  const int first = static_cast<int>(cluster.block_rank()) * slice;
  cluster.sync();
  for (int i = first + threadIdx.x; i < first + slice; i += blockDim.x) {
    float v[kParts];
#pragma unroll
    for (int p = 0; p < kParts; ++p) v[p] = cluster.map_shared_rank(part, p)[Padded(i)];
    Butterflies(v);
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      const int index = p * args.local + i;
      Store<kKind>(args, vector, index, v[p], kKind == Kind::kOutput ? args.scale[index] : 1.0f);
    }
  }
  cluster.sync();  // others may still read this block's part
}

template <Kind kKind, int kParts>
__global__ void __launch_bounds__(kMaxThreads) RotateVectors(const RotationArguments args) {
  extern __shared__ float part[];
  float* scale = part + PaddedCount(args.local);
  const int rank = static_cast<int>(blockIdx.x) % kParts;
  const int64_t vector = static_cast<int64_t>(blockIdx.x / kParts) * args.features;
  const int offset = rank * args.local;
  const bool is_alone = kParts == 1;

  ptx::LaunchDependents();
  // Signs and scales never change: they are loaded before the wait, where they are used.
  const int first = threadIdx.x * kPerThread;
  const bool has_elements = first < args.local;
  float signs[kPerThread];
  if (kKind == Kind::kInput && has_elements) LoadFloats(args.scale + offset + first, signs);
  if (kKind == Kind::kOutput && is_alone) {
    for (int i = threadIdx.x * 4; i < args.local; i += blockDim.x * 4) {
      *reinterpret_cast<float4*>(scale + i) = *reinterpret_cast<const float4*>(args.scale + i);
    }
  }
  ptx::WaitForPreviousGrids();
  if (has_elements) {
    float v[kPerThread];
    LoadConsecutive<kKind>(args, vector + offset + first, v);
    if constexpr (kKind == Kind::kInput) {
#pragma unroll
      for (int k = 0; k < kPerThread; ++k) v[k] *= signs[k];
    }
    Butterflies(v);
#pragma unroll
    for (int k = 0; k < kPerThread; ++k) part[Padded(first + k)] = v[k];
  }
  for (int bit = kStageBits; (1 << bit) < args.local; bit += kStageBits) {
    __syncthreads();
    const int left = 31 - __clz(args.local >> bit);
    const bool is_last = is_alone && left <= kStageBits;
    switch (min(left, kStageBits)) {
      case 1:
        LocalStages<kKind, 1>(args, vector, part, scale, bit, is_last);
        break;
      case 2:
        LocalStages<kKind, 2>(args, vector, part, scale, bit, is_last);
        break;
      case 3:
        LocalStages<kKind, 3>(args, vector, part, scale, bit, is_last);
        break;
      default:
        LocalStages<kKind, kStageBits>(args, vector, part, scale, bit, is_last);
        break;
    }
  }
  if constexpr (kParts > 1) ClusterStages<kKind, kParts>(args, vector, part);
}

template <Kind kKind>
absl::Status Launch(const CudaDevice& device, int64_t batch, const RotationArguments& base) {
  const RotationConfig config = ChooseRotationConfig(base.features);
  const bool has_clusters = device.compute_capability() >= 90;
  if (!has_clusters && base.features > kMaxLocalWithoutCluster) {
    return FieldError(
        absl::StatusCode::kUnimplemented, "SHAPE_UNSUPPORTED",
        "features of a rotation on " + device.info().name, std::to_string(base.features),
        "at most " + std::to_string(kMaxLocalWithoutCluster) + " below compute capability 9.0");
  }
  RotationArguments args = base;
  args.local = has_clusters ? config.local : base.features;
  const int parts = has_clusters ? config.blocks : 1;
  const size_t scale_bytes = kKind == Kind::kOutput && parts == 1 ? args.local * sizeof(float) : 0;
  const LaunchOptions options = {
      .grid = static_cast<unsigned>(batch * parts),
      .block = static_cast<unsigned>(std::max(32, args.local / kPerThread)),
      .shared_bytes = PaddedCount(args.local) * sizeof(float) + scale_bytes,
      .cluster = parts,
      .overlaps_previous = true};
  switch (parts) {
    case 1:
      return LaunchKernel(device, options, RotateVectors<kKind, 1>, args);
    case 2:
      return LaunchKernel(device, options, RotateVectors<kKind, 2>, args);
    case 4:
      return LaunchKernel(device, options, RotateVectors<kKind, 4>, args);
    default:
      return LaunchKernel(device, options, RotateVectors<kKind, kMaxBlocks>, args);
  }
}

float Normalisation(int64_t features) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(features)));
}

}  // namespace

// One thread for every kPerThread elements: the first stages rely on it.
RotationConfig ChooseRotationConfig(int64_t features) {
  RotationConfig config;
  config.blocks = static_cast<int>(std::clamp<int64_t>(features / kPreferredLocal, 1, kMaxBlocks));
  config.local = static_cast<int>(features / config.blocks);
  config.threads = std::clamp(config.local / kPerThread, 32, kMaxThreads);
  return config;
}

absl::Status LaunchInputRotation(const CudaDevice& device, int64_t features, int64_t batch,
                                 const void* x, const void* su, void* u) {
  return Launch<Kind::kInput>(device, batch,
                              {.source = x,
                               .destination = u,
                               .scale = static_cast<const float*>(su),
                               .features = static_cast<int>(features),
                               .factor = Normalisation(features) / kActivationGuard});
}

absl::Status LaunchRotation(const CudaDevice& device, int64_t features, int64_t batch, void* z) {
  return Launch<Kind::kRotateOnly>(device, batch,
                                   {.source = z,
                                    .destination = z,
                                    .scale = nullptr,
                                    .features = static_cast<int>(features),
                                    .factor = Normalisation(features)});
}

absl::Status LaunchOutputRotation(const CudaDevice& device, int64_t features, int64_t batch,
                                  const void* z, const void* sv, void* y) {
  return Launch<Kind::kOutput>(device, batch,
                               {.source = z,
                                .destination = y,
                                .scale = static_cast<const float*>(sv),
                                .features = static_cast<int>(features),
                                .factor = Normalisation(features) * kActivationGuard});
}

}  // namespace qtipd
