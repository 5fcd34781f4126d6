// What the fused kernels share: activations, and adding up the warps of a block.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_COMMON_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_COMMON_CUH_

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx/dependent_launch.h"
#include "kernels/cuda/ptx/mma.h"
#include "kernels/formats/qtip/qtip_cuda_decode.cuh"
#include "kernels/formats/qtip/qtip_cuda_fused.h"
#include "kernels/formats/qtip/qtip_cuda_probe.cuh"

namespace qtipd {

inline constexpr int kFusedWarps = kDecodeThreads / 32;
inline constexpr int kFusedWarpsLog2 = 4;
static_assert(kFusedWarps == 1 << kFusedWarpsLog2);

// Steps that one accumulator runs through: the tensor cores cut off low bits of a sum rather than
// rounding it, an error that grows with the length of the chain (2.5e-6 at 65536 columns in one).
inline constexpr int kChainSteps = 8;

// B fragments: the 16 activations of the lane's own tile.
struct Activations {
  uint32_t word[8];
};

__device__ __forceinline__ Activations LoadActivations(const uint16_t* u) {
  const uint4 low = *reinterpret_cast<const uint4*>(u);
  const uint4 high = *reinterpret_cast<const uint4*>(u + 8);
  return {{low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}};
}

// The activations of a column or tile that does not exist.
static __device__ const uint4 kNoActivations[2] = {};

__device__ __forceinline__ const uint16_t* NoActivations() {
  return reinterpret_cast<const uint16_t*>(kNoActivations);
}

// z of `rows` row blocks from their partial sums [row block][part][column][16]; parts is at most
// kFusedWarps. Written without branches: the sums of a short kernel are all that is left of it.
template <int kColumns>
__device__ __forceinline__ void ReducePartials(const FusedArguments& args, const float* partials,
                                               int first_row, int rows, int parts) {
  constexpr int kValues = kColumns * kUnitRows;
#pragma unroll 1
  for (int i = threadIdx.x; i < rows * kValues; i += kDecodeThreads) {
    const int row = i / kValues;
    const int value = i % kValues;
    const float* p = partials + row * parts * kValues + value;
    float sums[4] = {};
#pragma unroll
    for (int part = 0; part < kFusedWarps; ++part) {
      if (part < parts) sums[part % 4] += p[part * kValues];
    }
    const int column = value / kUnitRows;
    if (column < args.columns) {
      args.z[static_cast<int64_t>(column) * args.out_features + (first_row + row) * kUnitRows +
             value % kUnitRows] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    }
  }
}

struct RowRange {
  int first;
  int count;
};

__device__ __forceinline__ RowRange RowsOfBlock(const FusedArguments& args) {
  const int block = static_cast<int>(blockIdx.x);
  const int surplus = min(block, args.row_remainder);
  return {block * args.row_quotient + surplus,
          args.row_quotient + (block < args.row_remainder ? 1 : 0)};
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_COMMON_CUH_
