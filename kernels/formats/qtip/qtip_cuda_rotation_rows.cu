// Rotations whose size is an order K = 12 to 172 times a power of two, of few vectors. had_K comes
// first, as H = (had_K x I)(I x Sylvester) commutes: a block computes four of the K rows from the
// whole vector, which it reads through L2, and Walsh-Hadamard transforms them in shared memory.
// Blocks need nothing of each other.
//
// Versions, input rotation of one vector and of eight on an H200
// (tests/kernels/cuda/cuda_measure.cc):
//   a cluster reads every element once (qtip_cuda_rotation_order.cu)   11008: 7.0, 7.7 us
//                                                                      14336: 4.6, 5.0 us
//   this                                                               11008: 3.9, 4.7 us
//                                                                      14336: 3.5, 3.7 us
#include <algorithm>

#include "kernels/formats/qtip/qtip_cuda_rotation_order.cuh"

namespace qtipd {
namespace {

template <RotationKind kKind, bool kIsBf16>
__device__ __forceinline__ void LoadEight(const OrderArguments& args, int64_t vector, int index,
                                          const float* scales, float (&v)[kRowsPositions]) {
  if constexpr (kKind == RotationKind::kInput) {
    const uint4 four =
        *reinterpret_cast<const uint4*>(static_cast<const uint16_t*>(args.source) + vector + index);
    const uint32_t words[4] = {four.x, four.y, four.z, four.w};
    const float4 low = *reinterpret_cast<const float4*>(scales + index);
    const float4 high = *reinterpret_cast<const float4*>(scales + index + 4);
    const float signs[kRowsPositions] = {low.x,  low.y,  low.z,  low.w,
                                         high.x, high.y, high.z, high.w};
    WidenWords(words, kIsBf16, v);
#pragma unroll
    for (int i = 0; i < kRowsPositions; ++i) v[i] *= signs[i];
  } else {
    const float* from = static_cast<const float*>(args.source) + vector + index;
    const float4 low = *reinterpret_cast<const float4*>(from);
    const float4 high = *reinterpret_cast<const float4*>(from + 4);
    v[0] = low.x, v[1] = low.y, v[2] = low.z, v[3] = low.w;
    v[4] = high.x, v[5] = high.y, v[6] = high.z, v[7] = high.w;
  }
}

// Four rows of had_K times the vector to `part`; `partial` holds the sums of splits. kIsBf16: the
// source of an input rotation is. (A branch in the loop would part its loads.)
template <RotationKind kKind, bool kIsBf16>
__device__ __forceinline__ void MultiplyRows(const OrderArguments& args, int64_t vector,
                                             const float* scales, const uint16_t* signs,
                                             float* partial, float* part) {
  const int octets = args.points / kRowsPositions;
  const int splits = RowSplits(args.points);
  const int split = static_cast<int>(threadIdx.x) / octets;
  for (int octet = threadIdx.x & (octets - 1); octet < octets; octet += blockDim.x) {
    float sums[kSignBlock][kRowsPositions] = {};
#pragma unroll 4
    for (int k = split; k < args.order; k += splits) {
      float v[kRowsPositions];
      LoadEight<kKind, kIsBf16>(args, vector, k * args.points + kRowsPositions * octet, scales, v);
      AddSigned(static_cast<uint32_t>(signs[k / kSignBlock]) >> (kSignBlock * (k % kSignBlock)), v,
                sums);
    }
#pragma unroll
    for (int r = 0; r < kSignBlock; ++r) {
      const int index = r * args.points + kRowsPositions * octet;
      if (splits == 1) {
#pragma unroll
        for (int p = 0; p < kRowsPositions; ++p) part[Padded(index + p)] = sums[r][p];
      } else {
        auto* to = reinterpret_cast<float4*>(partial + split * kSignBlock * args.points + index);
        to[0] = make_float4(sums[r][0], sums[r][1], sums[r][2], sums[r][3]);
        to[1] = make_float4(sums[r][4], sums[r][5], sums[r][6], sums[r][7]);
      }
    }
  }
  if (splits == 1) return;
  __syncthreads();
  const int count = kSignBlock * args.points;
  for (int i = threadIdx.x; i < count; i += blockDim.x) {
    float sum = 0;
#pragma unroll 8
    for (int s = 0; s < splits; ++s) sum += partial[s * count + i];
    part[Padded(i)] = sum;
  }
}

// The last stages, from `bit` on, to memory from `to` on; `scale` belongs to `part`.
template <RotationKind kKind, int kStages>
__device__ __forceinline__ void StoreStages(const OrderArguments& args, const float* part, int bit,
                                            const float* scale, uint16_t* to) {
  constexpr int kSize = 1 << kStages;
  const int low_mask = (1 << bit) - 1;
  for (int item = threadIdx.x; item < kSignBlock * args.points / kSize; item += blockDim.x) {
    const int base = ((item & ~low_mask) << kStages) | (item & low_mask);
    float v[kSize];
#pragma unroll
    for (int k = 0; k < kSize; ++k) v[k] = part[Padded(base + (k << bit))];
    Butterflies(v);
    WithNarrowing(WritesBf16<kKind>(args), [&](const auto& narrow) {
#pragma unroll
      for (int k = 0; k < kSize; ++k) {
        const int index = base + (k << bit);
        const float factor =
            kKind == RotationKind::kOutput ? args.factor * scale[index] : args.factor;
        to[index] = narrow(v[k] * factor);
      }
    });
  }
}

// kKeepsScales: those of an output rotation of up to kRowsScalePoints lie in shared memory.
template <RotationKind kKind, bool kKeepsScales>
__global__ void __launch_bounds__(kRowsThreads) RotateRows(const OrderArguments args) {
  extern __shared__ __align__(16) float part[];
  const int groups = args.order / kSignBlock;
  const int group = static_cast<int>(blockIdx.x) % groups;
  const int64_t vector = static_cast<int64_t>(blockIdx.x / groups) * args.features;
  const float* scales = ScalesOf(args, blockIdx.x / groups);
  const int count = kSignBlock * args.points;
  float* partial = part + PaddedCount(count);
  const int splits = RowSplits(args.points);
  float* after = partial + (splits == 1 ? 0 : splits * count);
  const bool has_scale =
      kKind == RotationKind::kOutput && kKeepsScales && args.points <= kRowsScalePoints;
  auto* signs = reinterpret_cast<uint16_t*>(after + (has_scale ? count : 0));

  ptx::LaunchDependents();
  for (int i = threadIdx.x; i < groups; i += blockDim.x) signs[i] = args.signs[i * groups + group];
  const float* scale = scales + group * count;
  if (has_scale) {
    for (int i = threadIdx.x; i < count; i += blockDim.x) after[i] = scale[i];
    scale = after;
  }
  ptx::WaitForPreviousGrids();
  __syncthreads();
  if (kKind == RotationKind::kInput && args.is_bf16) {
    MultiplyRows<kKind, true>(args, vector, scales, signs, partial, part);
  } else {
    MultiplyRows<kKind, false>(args, vector, scales, signs, partial, part);
  }
  auto* to = static_cast<uint16_t*>(args.destination) + vector + group * count;
  const int bits = 31 - __clz(args.points);
  int bit = 0;
  for (; bits - bit > kStageBits; bit += kStageBits) {
    __syncthreads();
    PartStages<kStageBits>(part, count, bit);
  }
  __syncthreads();
  switch (bits - bit) {
    case 1:
      return StoreStages<kKind, 1>(args, part, bit, scale, to);
    case 2:
      return StoreStages<kKind, 2>(args, part, bit, scale, to);
    case 3:
      return StoreStages<kKind, 3>(args, part, bit, scale, to);
    default:
      return StoreStages<kKind, kStageBits>(args, part, bit, scale, to);
  }
}

}  // namespace

template <RotationKind kKind>
absl::Status LaunchRowsRotation(const CudaDevice& device, const RotationConfig& config,
                                const OrderArguments& args, int64_t vectors) {
  const LaunchOptions options = {.grid = static_cast<unsigned>(vectors * config.blocks),
                                 .block = static_cast<unsigned>(config.threads),
                                 .shared_bytes = config.shared_bytes,
                                 .overlaps_previous = true};
  if constexpr (kKind == RotationKind::kOutput) {
    if (!config.keeps_scales) {
      return LaunchKernel(device, options, RotateRows<kKind, false>, args);
    }
  }
  return LaunchKernel(device, options, RotateRows<kKind, true>, args);
}

template absl::Status LaunchRowsRotation<RotationKind::kInput>(const CudaDevice&,
                                                               const RotationConfig&,
                                                               const OrderArguments&, int64_t);
template absl::Status LaunchRowsRotation<RotationKind::kUnscaled>(const CudaDevice&,
                                                                  const RotationConfig&,
                                                                  const OrderArguments&, int64_t);
template absl::Status LaunchRowsRotation<RotationKind::kOutput>(const CudaDevice&,
                                                                const RotationConfig&,
                                                                const OrderArguments&, int64_t);

}  // namespace qtipd
