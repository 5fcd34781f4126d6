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

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "kernels/api/error.h"
#include "kernels/cuda/ptx/cluster.h"

namespace qtipd {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int kMaxBlocks = 8;  // the largest portable cluster
constexpr int64_t kMaxLocal = 16384;
constexpr int64_t kSumsPerBlock = 100000;  // products with had_K that are worth another block
constexpr int kOrderThreads = 512;
constexpr int64_t kPreferredLocal = 8192;

__device__ __forceinline__ void Store(const RotationArguments& args, int64_t vector, int index,
                                      float value, float scale) {
  static_cast<__half*>(args.destination)[vector + index] =
      __float2half_rn(value * args.factor * scale);
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
#pragma unroll
    for (int k = 0; k < kSize; ++k) {
      const int index = base + (k << bit);
      if (is_last) {
        Store(args, vector, index, v[k], kKind == RotationKind::kOutput ? scale[index] : 1.0f);
      } else {
        part[Padded(index)] = v[k];
      }
    }
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
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      const int index = p * args.local + i;
      Store(args, vector, index, v[p], kKind == RotationKind::kOutput ? scale[index] : 1.0f);
    }
  }
  ptx::SynchroniseCluster();  // others may still read this block's part
}

template <RotationKind kKind, int kParts>
__global__ void __launch_bounds__(kMaxThreads) RotateVectors(const RotationArguments args) {
  extern __shared__ float part[];
  float* scale = part + PaddedCount(args.local);
  const int rank = static_cast<int>(blockIdx.x) % kParts;
  const int64_t vector = static_cast<int64_t>(blockIdx.x / kParts) * args.features;
  const float* scales = ScalesOf(args, blockIdx.x / kParts);
  const int offset = rank * args.local;
  const bool is_alone = kParts == 1;

  ptx::LaunchDependents();
  // Signs and scales never change: they are loaded before the wait, where they are used.
  const int first = threadIdx.x * kPerThread;
  const bool has_elements = first < args.local;
  float signs[kPerThread];
  if (kKind == RotationKind::kInput && has_elements) LoadFloats(scales + offset + first, signs);
  if (kKind == RotationKind::kOutput && is_alone) {
    for (int i = threadIdx.x * 4; i < args.local; i += blockDim.x * 4) {
      *reinterpret_cast<float4*>(scale + i) = *reinterpret_cast<const float4*>(scales + i);
    }
  }
  ptx::WaitForPreviousGrids();
  if (has_elements) {
    float v[kPerThread];
    LoadConsecutive<kKind>(args.source, vector + offset + first, v);
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
absl::Status LaunchPowerOfTwo(const CudaDevice& device, int64_t vectors,
                              const RotationArguments& base) {
  const RotationConfig config = ChooseRotationConfig(base.features);
  const bool has_clusters = device.compute_capability() >= 90;
  RotationArguments args = base;
  args.local = has_clusters ? config.local : base.features;
  const int parts = has_clusters ? config.blocks : 1;
  const size_t scale_bytes =
      kKind == RotationKind::kOutput && parts == 1 ? args.local * sizeof(float) : 0;
  const LaunchOptions options = {
      .grid = static_cast<unsigned>(vectors * parts),
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

// `arguments` without features, shards, local; `factor` beside the normalisation.
template <RotationKind kKind>
absl::Status Launch(const CudaDevice& device, const CudaRotation& rotation, int64_t batch,
                    RotationArguments arguments) {
  const int64_t size = rotation.sides.size;
  if (device.compute_capability() < 90 && size > kMaxLocal) {
    return FieldError(absl::StatusCode::kUnimplemented, "SHAPE_UNSUPPORTED",
                      "features of a rotation on " + device.info().name, std::to_string(size),
                      "at most " + std::to_string(kMaxLocal) + " below compute capability 9.0");
  }
  arguments.features = static_cast<int>(size);
  arguments.shards = static_cast<int>(rotation.sides.shards);
  arguments.factor *= static_cast<float>(1.0 / std::sqrt(static_cast<double>(size)));
  const int64_t vectors = batch * rotation.sides.shards;
  return rotation.order == 1 ? LaunchPowerOfTwo<kKind>(device, vectors, arguments)
                             : LaunchOrderRotation<kKind>(device, rotation, batch, arguments);
}

}  // namespace

RotationConfig ChooseRotationConfig(int64_t features) {
  RotationConfig config;
  const int order = HadamardOrder(features).value();
  if (order == 1) {
    // One thread for every kPerThread elements: the first stages rely on it.
    config.blocks =
        static_cast<int>(std::clamp<int64_t>(features / kPreferredLocal, 1, kMaxBlocks));
    config.local = static_cast<int>(features / config.blocks);
    config.threads = std::clamp(config.local / kPerThread, 32, kMaxThreads);
    return config;
  }
  const auto points = static_cast<int>(features / order);
  const auto worth = static_cast<uint64_t>((order * features + kSumsPerBlock - 1) / kSumsPerBlock);
  const auto rows = [&] { return (order + config.blocks - 1) / config.blocks; };
  config.blocks = static_cast<int>(
      std::min<uint64_t>({std::bit_ceil(worth), kMaxBlocks, static_cast<uint64_t>(points / 8)}));
  while (rows() * points > kMaxLocal) config.blocks *= 2;
  config.local = rows() * points;
  const int sums = order / 4 * (points / config.blocks / 8) * 4;
  config.threads =
      std::clamp((std::max(config.local / kPerThread, sums) + 31) / 32 * 32, 64, kOrderThreads);
  return config;
}

absl::Status LaunchInputRotation(const CudaDevice& device, const CudaRotation& rotation,
                                 int64_t batch, const void* x, const void* su, void* u) {
  return Launch<RotationKind::kInput>(device, rotation, batch,
                                      {.source = x,
                                       .destination = u,
                                       .scale = static_cast<const float*>(su),
                                       .factor = 1 / kActivationGuard});
}

absl::Status LaunchOutputRotation(const CudaDevice& device, const CudaRotation& rotation,
                                  int64_t batch, const void* z, const void* sv, void* y) {
  RotationArguments arguments = {.source = z,
                                 .destination = y,
                                 .scale = static_cast<const float*>(sv),
                                 .factor = kActivationGuard};
  if (sv != nullptr) return Launch<RotationKind::kOutput>(device, rotation, batch, arguments);
  arguments.factor = 1;
  return Launch<RotationKind::kUnscaled>(device, rotation, batch, arguments);
}

}  // namespace qtipd
