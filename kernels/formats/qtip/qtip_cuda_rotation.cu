// Sizes that are powers of two; qtip_cuda_rotation_rows.cu and qtip_cuda_rotation_order.cu have the
// others.
//
// A vector of up to 16384 elements is transformed by one block in shared memory, four butterfly
// stages at a time in registers. A longer one is spread over a cluster: each block transforms its
// contiguous part, then takes one slice of positions of all parts through distributed shared memory
// and finishes the stages between parts.
//
// One block a vector keeps the rotation off the multiprocessors that the fused kernel fills, so
// that both grids are resident at once and only the data dependence remains between them.
#include "kernels/formats/qtip/qtip_cuda_rotation.cuh"

#include <cmath>

#include "kernels/cuda/ptx/cluster.h"

namespace qtipd {
namespace {

constexpr int kMaxThreads = 1024;

// v[k] to element first + k * stride of the vector; `scale` belongs to element 0.
template <RotationKind kKind, int kSize>
__device__ __forceinline__ void Store(const RotationArguments& args, int64_t vector, int first,
                                      int stride, const float (&v)[kSize], const float* scale) {
  auto* to = static_cast<uint16_t*>(args.destination) + vector;
  WithNarrowing(WritesBf16<kKind>(args), [&](const auto& narrow) {
#pragma unroll
    for (int k = 0; k < kSize; ++k) {
      const int index = first + k * stride;
      const float value = v[k] * args.factor;
      to[index] = narrow(kKind == RotationKind::kOutput ? value * scale[index] : value);
    }
  });
}

// Stages [bit, bit + kStages) of the block's part; the last ones of a vector in one block go
// straight to memory.
template <RotationKind kKind, int kStages>
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
    if (is_last) {
      Store<kKind>(args, vector, base, 1 << bit, v, scale);
      continue;
    }
#pragma unroll
    for (int k = 0; k < kSize; ++k) part[Padded(base + (k << bit))] = v[k];
  }
}

// The stages between the parts of a cluster: this block takes positions [rank, rank + 1) * local /
// kParts of every part.
template <RotationKind kKind, int kParts>
__device__ __forceinline__ void ClusterStages(const RotationArguments& args, int64_t vector,
                                              float* part, const float* scale) {
  const int slice = args.local / kParts;
  const int first = ptx::ClusterRank() * slice;
  ptx::SynchroniseCluster();
  for (int i = first + threadIdx.x; i < first + slice; i += blockDim.x) {
    float v[kParts];
#pragma unroll
    for (int p = 0; p < kParts; ++p) v[p] = ptx::SharedOfRank(part, p)[Padded(i)];
    Butterflies(v);
    Store<kKind>(args, vector, i, args.local, v, scale);
  }
  ptx::SynchroniseCluster();  // others may still read this block's part
}

// kKeepsScales: those of an output rotation in one block lie behind its part in shared memory; else
// they are read where they are.
template <RotationKind kKind, int kParts, bool kKeepsScales>
__global__ void __launch_bounds__(kMaxThreads) RotateVectors(const RotationArguments args) {
  extern __shared__ float part[];
  float* kept = part + PaddedCount(args.local);
  const int rank = static_cast<int>(blockIdx.x) % kParts;
  const int64_t vector = static_cast<int64_t>(blockIdx.x / kParts) * args.features;
  const float* scales = ScalesOf(args, blockIdx.x / kParts);
  const float* scale = kKeepsScales ? kept : scales;
  const int offset = rank * args.local;
  const bool is_alone = kParts == 1;

  ptx::LaunchDependents();
  // Signs and scales never change: they are loaded before the wait, where they are used.
  const int first = threadIdx.x * kPerThread;
  const bool has_elements = first < args.local;
  float signs[kPerThread];
  if (kKind == RotationKind::kInput && has_elements) LoadFloats(scales + offset + first, signs);
  if (kKind == RotationKind::kOutput && is_alone && kKeepsScales) {
    for (int i = threadIdx.x * 4; i < args.local; i += blockDim.x * 4) {
      *reinterpret_cast<float4*>(kept + i) = *reinterpret_cast<const float4*>(scales + i);
    }
  }
  ptx::WaitForPreviousGrids();
  if (has_elements) {
    float v[kPerThread];
    LoadConsecutive<kKind>(args.source, vector + offset + first, args.is_bf16, v);
    if constexpr (kKind == RotationKind::kInput) {
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
  if constexpr (kParts > 1) ClusterStages<kKind, kParts>(args, vector, part, scales);
}

template <RotationKind kKind>
absl::Status LaunchStages(const CudaDevice& device, const RotationConfig& config, int64_t vectors,
                          RotationArguments args) {
  args.local = config.local;
  const LaunchOptions options = {.grid = static_cast<unsigned>(vectors * config.blocks),
                                 .block = static_cast<unsigned>(config.threads),
                                 .shared_bytes = config.shared_bytes,
                                 .cluster = config.blocks,
                                 .overlaps_previous = true};
  switch (config.blocks) {
    case 1:
      if constexpr (kKind == RotationKind::kOutput) {
        if (!config.keeps_scales) {
          return LaunchKernel(device, options, RotateVectors<kKind, 1, false>, args);
        }
      }
      return LaunchKernel(device, options, RotateVectors<kKind, 1, true>, args);
    case 2:
      return LaunchKernel(device, options, RotateVectors<kKind, 2, true>, args);
    case 4:
      return LaunchKernel(device, options, RotateVectors<kKind, 4, true>, args);
    default:
      return LaunchKernel(device, options, RotateVectors<kKind, kMaxClusterBlocks, true>, args);
  }
}

// `arguments` without features, shards, local; `factor` beside the normalisation.
template <RotationKind kKind>
absl::Status Launch(const CudaDevice& device, const CudaLimits& as, const CudaRotation& rotation,
                    int64_t batch, RotationArguments arguments) {
  const int64_t size = rotation.sides.size;
  const int64_t vectors = batch * rotation.sides.shards;
  QTIPD_ASSIGN_OR_RETURN(
      const RotationConfig config,
      ChooseRotationConfig(
          {.size = size, .vectors = vectors, .has_scales = kKind == RotationKind::kOutput}, as));
  arguments.features = static_cast<int>(size);
  arguments.shards = static_cast<int>(rotation.sides.shards);
  arguments.factor *= static_cast<float>(1.0 / std::sqrt(static_cast<double>(size)));
  return config.kernel == RotationKernel::kStages
             ? LaunchStages<kKind>(device, config, vectors, arguments)
             : LaunchOrderRotation<kKind>(device, rotation, config, vectors, arguments);
}

}  // namespace

absl::Status LaunchInputRotation(const CudaDevice& device, const CudaRotation& rotation,
                                 int64_t batch, const void* x, const void* su, void* u,
                                 DType activations) {
  return LaunchInputRotationAs(device, device.limits(), rotation, batch, x, su, u, activations);
}

absl::Status LaunchInputRotationAs(const CudaDevice& device, const CudaLimits& as,
                                   const CudaRotation& rotation, int64_t batch, const void* x,
                                   const void* su, void* u, DType activations) {
  return Launch<RotationKind::kInput>(device, as, rotation, batch,
                                      {.source = x,
                                       .destination = u,
                                       .scale = static_cast<const float*>(su),
                                       .factor = 1 / kActivationGuard,
                                       .is_bf16 = activations == DType::kBF16});
}

absl::Status LaunchOutputRotation(const CudaDevice& device, const CudaRotation& rotation,
                                  int64_t batch, const void* z, const void* sv, void* y,
                                  DType activations) {
  return LaunchOutputRotationAs(device, device.limits(), rotation, batch, z, sv, y, activations);
}

absl::Status LaunchOutputRotationAs(const CudaDevice& device, const CudaLimits& as,
                                    const CudaRotation& rotation, int64_t batch, const void* z,
                                    const void* sv, void* y, DType activations) {
  RotationArguments arguments = {.source = z,
                                 .destination = y,
                                 .scale = static_cast<const float*>(sv),
                                 .factor = kActivationGuard,
                                 .is_bf16 = activations == DType::kBF16};
  if (sv != nullptr) return Launch<RotationKind::kOutput>(device, as, rotation, batch, arguments);
  arguments.factor = 1;
  return Launch<RotationKind::kUnscaled>(device, as, rotation, batch, arguments);
}

}  // namespace qtipd
