// The output rotation after the fused kernel's last four stages: block r transforms the elements r
// modulo 16, that is z[r], by the stages between row blocks and by had_K, whose elements it holds
// as fp32: 16 blocks take as long as one of them.
#include <cuda_fp16.h>

#include "kernels/formats/qtip/qtip_cuda_linear.h"
#include "kernels/formats/qtip/qtip_cuda_rotation_order.cuh"

namespace qtipd {
namespace {

constexpr int kThreads = 128;
constexpr int kBlocksBesideOthers = 8;  // leaves 64 registers a thread
constexpr int kFinishStages = 3;        // between two exchanges: eight elements a thread

// had_K as [column][group of four rows].
__device__ __forceinline__ void FillMatrix(const FinishArguments& args, float4* matrix) {
  const int groups = args.order / kSignBlock;
  for (int i = threadIdx.x; i < args.order * groups; i += kThreads) {
    const int column = i / groups;
    const uint32_t word = args.signs[column / kSignBlock * groups + i % groups];
    const uint32_t signs = word >> (kSignBlock * (column % kSignBlock));
    const auto element = [&](int r) { return (signs >> r & 1) != 0 ? -1.0f : 1.0f; };
    matrix[i] = make_float4(element(0), element(1), element(2), element(3));
  }
}

// Where element `element` of this block's transform stands in the vector.
__device__ __forceinline__ int Index(int element) {
  return element * kUnitRows + static_cast<int>(blockIdx.x) % kUnitRows;
}

__device__ __forceinline__ void Store(const FinishArguments& args, const float* scale, int element,
                                      float v) {
  static_cast<uint16_t*>(args.y)[Index(element)] =
      Narrow(v * args.factor * scale[element], args.is_bf16);
}

// Four rows of had_K at one position, from `part`.
__device__ __forceinline__ void MultiplyMatrix(const FinishArguments& args, const float* part,
                                               const float* scale, const float4* matrix) {
  const int groups = args.order / kSignBlock;
  // This block's share of them.
  const int split = static_cast<int>(blockIdx.x) / kUnitRows;
  const int splits = static_cast<int>(gridDim.x) / kUnitRows;
  const int first_group = groups * split / splits;
  const int end_group = groups * (split + 1) / splits;
  const int items = (end_group - first_group) * args.points;
  for (int item = threadIdx.x; item < items; item += kThreads) {
    const int group = first_group + item / args.points;
    const int point = item & (args.points - 1);
    float4 sums = {};
#pragma unroll 8
    for (int k = 0; k < args.order; ++k) {
      const float v = part[Padded(k * args.points + point)];
      const float4 row = matrix[k * groups + group];
      sums.x = fmaf(row.x, v, sums.x);
      sums.y = fmaf(row.y, v, sums.y);
      sums.z = fmaf(row.z, v, sums.z);
      sums.w = fmaf(row.w, v, sums.w);
    }
    const int first = kSignBlock * group * args.points + point;
    Store(args, scale, first, sums.x);
    Store(args, scale, first + args.points, sums.y);
    Store(args, scale, first + 2 * args.points, sums.z);
    Store(args, scale, first + 3 * args.points, sums.w);
  }
}

// A thread's first 16 are all on their way at once.
__device__ __forceinline__ void LoadElements(const float* from, int elements, float* part) {
  constexpr int kAtOnce = 4;
  const int quads = elements % 4 == 0 ? elements / 4 : 0;
  for (int first = threadIdx.x; first < quads; first += kAtOnce * kThreads) {
    float4 fours[kAtOnce];
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      const int i = first + j * kThreads;
      if (i < quads) fours[j] = reinterpret_cast<const float4*>(from)[i];
    }
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      const int i = first + j * kThreads;
      if (i >= quads) break;
      part[Padded(4 * i)] = fours[j].x;
      part[Padded(4 * i + 1)] = fours[j].y;
      part[Padded(4 * i + 2)] = fours[j].z;
      part[Padded(4 * i + 3)] = fours[j].w;
    }
  }
  for (int i = 4 * quads + threadIdx.x; i < elements; i += kThreads) part[Padded(i)] = from[i];
}

__global__ void __launch_bounds__(kThreads, kBlocksBesideOthers)
    Finish(const FinishArguments args) {
  extern __shared__ __align__(16) float memory[];
  const int elements = args.order * args.points;
  float* part = memory;
  float* scale = memory + PaddedCount(elements);
  auto* matrix = reinterpret_cast<float4*>(scale + (elements + 3) / 4 * 4);
  const float* from = args.z + static_cast<int64_t>(blockIdx.x % kUnitRows) * elements;

  ptx::LaunchDependents();
  if (args.order > 1) FillMatrix(args, matrix);
  // Scales never change: they are fetched while the grid before this one runs.
  for (int i = threadIdx.x; i < elements; i += kThreads) scale[i] = args.scale[Index(i)];
  ptx::WaitForPreviousGrids();
  LoadElements(from, elements, part);
  const int bits = 31 - __clz(args.points);
  for (int bit = 0; bit < bits; bit += kFinishStages) {
    __syncthreads();
    switch (min(bits - bit, kFinishStages)) {
      case 1:
        PartStages<1>(part, elements, bit);
        break;
      case 2:
        PartStages<2>(part, elements, bit);
        break;
      default:
        PartStages<kFinishStages>(part, elements, bit);
        break;
    }
  }
  __syncthreads();
  if (args.order > 1) {
    MultiplyMatrix(args, part, scale, matrix);
  } else {
    for (int i = threadIdx.x; i < elements; i += kThreads) Store(args, scale, i, part[Padded(i)]);
  }
}

}  // namespace

absl::Status LaunchFinish(const CudaDevice& device, const LinearConfig& config,
                          const FinishArguments& arguments) {
  const LaunchOptions options = {.grid = static_cast<unsigned>(kUnitRows * config.finish_splits),
                                 .block = kThreads,
                                 .shared_bytes = config.finish_shared_bytes,
                                 .overlaps_previous = true};
  return LaunchKernel(device, options, Finish, arguments);
}

}  // namespace qtipd
