// The fused kernel of the CUDA backend whose warps multiply four at a time: for batches above 16
// and enough rows, on compute capability 9.0.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WARPGROUP_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WARPGROUP_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/warpgroup_layout.h"
#include "kernels/formats/qtip/qtip_cuda_arrange.h"
#include "kernels/formats/qtip/qtip_cuda_fused.h"

namespace qtipd {

inline constexpr int kWarpgroupColumns = 32;  // vectors
inline constexpr int kWarpgroupTiles = kWarpgroupColumns / 8;
inline constexpr int kWarpgroupMostBits = 2;    // above, words leave too few registers
inline constexpr int kLeastWarpgroupSlots = 2;  // row blocks of a warp, up to kWarpgroupMostSlots
// Halves of units of activations that a warpgroup has room for beside the table.
inline constexpr int kWarpgroupRingSlots = 4;
inline constexpr int kWarpgroupHalfBytes = kUnitSteps / 2 * MatrixStepBytes(kWarpgroupColumns);

// The columns of the lanes' tiles that step s of half a unit multiplies: 2 s and 2 s + 1, then 2 s
// + 8 and 2 s + 9; lane q has tile q of the half's four.
inline constexpr MatrixColumns kHalfUnitColumns = {
    .step = {0, 1, 2, 3}, .half = kQtipTileCols / 4, .quarter = kQtipTileCols / 2};

QTIPD_HOST_DEVICE constexpr int WarpgroupSharedBytes(int slots) {
  return FoldedBytes(kMostReplicas) + WarpgroupRingBytes(kWarpgroupHalfBytes, kWarpgroupRingSlots) +
         WarpgroupSumsBytes(kWarpgroupColumns, slots) + WarpgroupBarrierBytes(kWarpgroupRingSlots);
}

// `config` uses warpgroups. Arguments is FusedArguments, or TracedArguments for the traced build.
template <int kBits, typename Arguments>
absl::Status LaunchWarpgroupBits(const CudaDevice& device, const FusedConfig& config,
                                 const Arguments& arguments);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_WARPGROUP_H_
