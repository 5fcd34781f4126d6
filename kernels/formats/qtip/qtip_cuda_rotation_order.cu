// Rotations of many vectors whose size is an order K = 12 to 172 times a power of two. A vector is
// K rows of 2^a points. Blocks of a cluster take rows each, transform them in shared memory as
// qtip_cuda_rotation.cu does, and exchange: then each has a slice of positions of all rows and
// multiplies it by had_K, K additions an element.
//
// Product: a thread has 4 rows of had_K and 8 positions, one of four lanes every fourth column; the
// lanes' sums are added by shuffles that leave each lane one row. had_K is bits, expanded to +-1
// where they are used.
#include "kernels/cuda/ptx/cluster.h"
#include "kernels/formats/qtip/qtip_cuda_rotation_order.cuh"

namespace qtipd {
namespace {

constexpr int kLanes = 4;      // that share a sum, each a row in the end
constexpr int kPositions = 8;  // of a thread: four in each half of the slice

QTIPD_HOST_DEVICE constexpr int FirstRow(int order, int parts, int rank) {
  return rank * order / parts;
}

// Butterflies within groups of eight: rows of eight points, two of them.
__device__ __forceinline__ void ButterfliesOfEight(float (&v)[kPerThread]) {
  float low[8];
  float high[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    low[i] = v[i];
    high[i] = v[8 + i];
  }
  Butterflies(low);
  Butterflies(high);
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    v[i] = low[i];
    v[8 + i] = high[i];
  }
}

// The block's rows into `part`, transformed.
template <RotationKind kKind>
__device__ __forceinline__ void TransformRows(const OrderArguments& args, int64_t from,
                                              const float* scale, int count, float* part) {
  for (int first = threadIdx.x * kPerThread; first < count; first += blockDim.x * kPerThread) {
    float v[kPerThread];
    LoadConsecutive<kKind>(args.source, from + first, args.is_bf16, v);
    if constexpr (kKind == RotationKind::kInput) {
      float signs[kPerThread];
      LoadFloats(scale + first, signs);
#pragma unroll
      for (int k = 0; k < kPerThread; ++k) v[k] *= signs[k];
    }
    if (args.points == 8) {
      ButterfliesOfEight(v);
    } else {
      Butterflies(v);
    }
#pragma unroll
    for (int k = 0; k < kPerThread; ++k) part[Padded(first + k)] = v[k];
  }
  for (int bit = kStageBits; (1 << bit) < args.points; bit += kStageBits) {
    __syncthreads();
    switch (min(31 - __clz(args.points >> bit), kStageBits)) {
      case 1:
        PartStages<1>(part, count, bit);
        break;
      case 2:
        PartStages<2>(part, count, bit);
        break;
      case 3:
        PartStages<3>(part, count, bit);
        break;
      default:
        PartStages<kStageBits>(part, count, bit);
        break;
    }
  }
}

template <int kParts>
__device__ __forceinline__ void Synchronise() {
  if constexpr (kParts == 1) {
    __syncthreads();
  } else {
    ptx::SynchroniseCluster();
  }
}

// strip [order][SliceStride] <- this block's slice of positions of every row, from all blocks.
template <int kParts>
__device__ __forceinline__ void GatherSlice(const OrderArguments& args, int rank, float* part,
                                            float* strip) {
  const int slice = args.points / kParts;
  const int slice_bits = 31 - __clz(slice);
  for (int i = threadIdx.x; i < args.order * slice; i += blockDim.x) {
    const int row = i >> slice_bits;
    const int col = i & (slice - 1);
    const int owner = kParts == 1 ? 0 : ((row + 1) * kParts - 1) / args.order;
    const float* rows = part;
    if constexpr (kParts > 1) {
      rows = ptx::SharedOfRank(part, owner);
    }
    const int at = (row - FirstRow(args.order, kParts, owner)) * args.points + rank * slice + col;
    strip[row * SliceStride(slice) + col] = rows[Padded(at)];
  }
}

// sums[r][p] over the lane's columns of had_K: rows 4 group + r, positions 4 quad + p and slice / 2
// + 4 quad + p - 4.
__device__ __forceinline__ void SumColumns(const OrderArguments& args, const uint16_t* signs,
                                           const float* strip, int slice, int group, int quad,
                                           int lane, float (&sums)[kSignBlock][kPositions]) {
  const int groups = args.order / kSignBlock;
  const int stride = SliceStride(slice);
  const float* from = strip + lane * stride + 4 * quad;
#pragma unroll 4
  for (int k = 0; k < groups; ++k, from += kLanes * stride) {
    const uint32_t word = static_cast<uint32_t>(signs[k * groups + group]) >> (kSignBlock * lane);
    const float4 low = *reinterpret_cast<const float4*>(from);
    const float4 high = *reinterpret_cast<const float4*>(from + slice / 2);
    const float v[kPositions] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
    AddSigned(word, v, sums);
  }
}

// Adds the sums of four lanes; each is left with those of row `lane`.
__device__ __forceinline__ void AddLanes(const float (&sums)[kSignBlock][kPositions], int lane,
                                         float (&row)[kPositions]) {
  const bool is_high = (lane & 2) != 0;
  const bool is_odd = (lane & 1) != 0;
  float pair[2][kPositions];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
#pragma unroll
    for (int p = 0; p < kPositions; ++p) {
      const float kept = is_high ? sums[r + 2][p] : sums[r][p];
      const float sent = is_high ? sums[r][p] : sums[r + 2][p];
      pair[r][p] = kept + __shfl_xor_sync(0xFFFFFFFFu, sent, 2);
    }
  }
#pragma unroll
  for (int p = 0; p < kPositions; ++p) {
    const float kept = is_odd ? pair[1][p] : pair[0][p];
    const float sent = is_odd ? pair[0][p] : pair[1][p];
    row[p] = kept + __shfl_xor_sync(0xFFFFFFFFu, sent, 1);
  }
}

template <RotationKind kKind>
__device__ __forceinline__ void StoreFour(const OrderArguments& args, int64_t index,
                                          const float* values, float4 scale) {
  const bool is_bf16 = WritesBf16<kKind>(args);
  auto* to = reinterpret_cast<uint32_t*>(static_cast<uint16_t*>(args.destination) + index);
  to[0] = NarrowPair(
      make_float2(values[0] * args.factor * scale.x, values[1] * args.factor * scale.y), is_bf16);
  to[1] = NarrowPair(
      make_float2(values[2] * args.factor * scale.z, values[3] * args.factor * scale.w), is_bf16);
}

// y <- had_K strip, for positions from `first_position` on.
template <RotationKind kKind>
__device__ __forceinline__ void Combine(const OrderArguments& args, const uint16_t* signs,
                                        const float* strip, int slice, int first_position,
                                        int64_t vector, const float* scales) {
  const int quads = slice / kPositions;
  const int items = args.order / kSignBlock * quads * kLanes;
  // Whole warps go round: the lanes exchange sums.
  for (int base = 0; base < items; base += blockDim.x) {
    const int item = base + threadIdx.x;
    const bool exists = item < items;
    const int lane = item % kLanes;
    const int quad = item / kLanes % quads;
    const int group = item / kLanes / quads;
    const int index = (kSignBlock * group + lane) * args.points + first_position + 4 * quad;
    float4 low = make_float4(1, 1, 1, 1);
    float4 high = low;
    if (kKind == RotationKind::kOutput && exists) {
      low = *reinterpret_cast<const float4*>(scales + index);
      high = *reinterpret_cast<const float4*>(scales + index + slice / 2);
    }
    float sums[kSignBlock][kPositions] = {};
    if (exists) SumColumns(args, signs, strip, slice, group, quad, lane, sums);
    float row[kPositions];
    AddLanes(sums, lane, row);
    if (exists) {
      StoreFour<kKind>(args, vector + index, row, low);
      StoreFour<kKind>(args, vector + index + slice / 2, row + 4, high);
    }
  }
}

template <RotationKind kKind, int kParts>
__global__ void __launch_bounds__(kOrderThreads) RotateOrder(const OrderArguments args) {
  extern __shared__ __align__(16) float part[];
  const int rank = static_cast<int>(blockIdx.x) % kParts;
  const int64_t vector = static_cast<int64_t>(blockIdx.x / kParts) * args.features;
  const float* scales = ScalesOf(args, blockIdx.x / kParts);
  const int slice = args.points / kParts;
  float* strip = part + PaddedCount(args.local);
  auto* signs = reinterpret_cast<uint16_t*>(strip + args.order * SliceStride(slice));

  ptx::LaunchDependents();
  const int groups = args.order / kSignBlock;
  for (int i = threadIdx.x; i < groups * groups; i += blockDim.x) signs[i] = args.signs[i];
  ptx::WaitForPreviousGrids();
  const int offset = FirstRow(args.order, kParts, rank) * args.points;
  const int count = FirstRow(args.order, kParts, rank + 1) * args.points - offset;
  TransformRows<kKind>(args, vector + offset, scales + offset, count, part);
  Synchronise<kParts>();
  GatherSlice<kParts>(args, rank, part, strip);
  Synchronise<kParts>();  // the others have read this block's rows
  Combine<kKind>(args, signs, strip, slice, rank * slice, vector, scales);
}

}  // namespace

template <RotationKind kKind>
absl::Status LaunchOrderRotation(const CudaDevice& device, const CudaRotation& rotation,
                                 const RotationConfig& config, int64_t vectors,
                                 const RotationArguments& base) {
  OrderArguments args = {base, rotation.signs.as<uint16_t>(), rotation.order,
                         base.features / rotation.order};
  if (config.kernel == RotationKernel::kRows) {
    return LaunchRowsRotation<kKind>(device, config, args, vectors);
  }
  args.local = config.local;
  const LaunchOptions options = {.grid = static_cast<unsigned>(vectors * config.blocks),
                                 .block = static_cast<unsigned>(config.threads),
                                 .shared_bytes = config.shared_bytes,
                                 .cluster = config.blocks,
                                 .overlaps_previous = true};
  switch (config.blocks) {
    case 1:
      return LaunchKernel(device, options, RotateOrder<kKind, 1>, args);
    case 2:
      return LaunchKernel(device, options, RotateOrder<kKind, 2>, args);
    case 4:
      return LaunchKernel(device, options, RotateOrder<kKind, 4>, args);
    default:
      return LaunchKernel(device, options, RotateOrder<kKind, kMaxClusterBlocks>, args);
  }
}

template absl::Status LaunchOrderRotation<RotationKind::kInput>(const CudaDevice&,
                                                                const CudaRotation&,
                                                                const RotationConfig&, int64_t,
                                                                const RotationArguments&);
template absl::Status LaunchOrderRotation<RotationKind::kUnscaled>(const CudaDevice&,
                                                                   const CudaRotation&,
                                                                   const RotationConfig&, int64_t,
                                                                   const RotationArguments&);
template absl::Status LaunchOrderRotation<RotationKind::kOutput>(const CudaDevice&,
                                                                 const CudaRotation&,
                                                                 const RotationConfig&, int64_t,
                                                                 const RotationArguments&);

}  // namespace qtipd
