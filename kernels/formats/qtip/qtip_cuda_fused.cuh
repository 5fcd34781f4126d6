// Fused decode and multiply on the tensor cores: a warp decodes a unit of 16 x 128 weights straight
// into A fragments of mma.m16n8k16 and multiplies them with activations held in B fragments.
//
// Row slot g of the matrix instruction carries column segment g >> 2 (qtip_cuda_layout.h), column c
// of B carries segment c >> 2 of activation vector c & 3; the blocks of D where both segments agree
// are sums that count, the others are ignored. One block a multiprocessor, 16 warps; blocks own
// whole row blocks, warps share a row block by columns and add up in shared memory: no atomics, one
// order of summation.
//
// Versions (H200, rotating copies; docs/performance/fused.md has the measurements):
//   512-entry table with the sign by XOR         slower: one more instruction a pair
//   fp16-accumulating mma                        0 to 3 % faster, error 3e-4 instead of 1e-6
//   two hashes in one 64-bit multiply            7 to 10 % slower
//   this                                         ships
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_CUH_

#include "kernels/formats/qtip/qtip_cuda_fused_launch.h"
#include "kernels/formats/qtip/qtip_cuda_fused_looping.cuh"
#include "kernels/formats/qtip/qtip_cuda_fused_resident.cuh"
#include "kernels/formats/qtip/qtip_cuda_fused_wide.cuh"
#include "kernels/formats/qtip/qtip_cuda_fused_wide_resident.cuh"

namespace qtipd {

template <int kBits, int kColumns, typename Arguments>
auto ChooseFusedKernel(const FusedConfig& config) {
  constexpr int kMost = kMostReplicas;
  constexpr int kFew = kFewReplicas;
  if constexpr (kColumns > 4) {
    if (config.table_replicas == kFew) return FusedWide<kBits, 1, kColumns, kFew, Arguments>;
    if constexpr (kColumns <= 16) {
      if (config.units_per_warp == 1) return FusedWideResident<kBits, 1, kColumns, Arguments>;
      if (config.units_per_warp == 2) return FusedWideResident<kBits, 2, kColumns, Arguments>;
    }
    if constexpr (kColumns == 8) {
      if (config.units_per_warp == 4) return FusedWideResident<kBits, 4, kColumns, Arguments>;
    }
    if (config.rows_in_flight == 1) return FusedWide<kBits, 1, kColumns, kMost, Arguments>;
    if constexpr (kColumns <= 16) {
      if (config.rows_in_flight == 4) return FusedWide<kBits, 4, kColumns, kMost, Arguments>;
    }
    return FusedWide<kBits, 2, kColumns, kMost, Arguments>;
  } else {
    if (config.table_replicas == kFew) return FusedLooping<kBits, 2, kColumns, kFew, Arguments>;
    if (config.units_per_warp == 1) return FusedResident<kBits, 1, kColumns, Arguments>;
    if (config.units_per_warp == 2) return FusedResident<kBits, 2, kColumns, Arguments>;
    if (config.units_per_warp == 4) return FusedResident<kBits, 4, kColumns, Arguments>;
    if (config.rows_in_flight == 1) return FusedLooping<kBits, 1, kColumns, kMost, Arguments>;
    if (config.rows_in_flight == 2) return FusedLooping<kBits, 2, kColumns, kMost, Arguments>;
    if (config.rows_in_flight == 3) return FusedLooping<kBits, 3, kColumns, kMost, Arguments>;
    return FusedLooping<kBits, 4, kColumns, kMost, Arguments>;
  }
}

template <int kBits, typename Arguments>
absl::Status LaunchFusedBits(const CudaDevice& device, const FusedConfig& config,
                             const Arguments& arguments) {
  const LaunchOptions options = FusedLaunchOptions(config, kDecodeThreads);
  switch (config.columns) {
    case 1:
      return LaunchKernel(device, options, ChooseFusedKernel<kBits, 1, Arguments>(config),
                          arguments);
    case 4:
      return LaunchKernel(device, options, ChooseFusedKernel<kBits, 4, Arguments>(config),
                          arguments);
    case 8:
      return LaunchKernel(device, options, ChooseFusedKernel<kBits, 8, Arguments>(config),
                          arguments);
    case 16:
      return LaunchKernel(device, options, ChooseFusedKernel<kBits, 16, Arguments>(config),
                          arguments);
    default:
      return LaunchKernel(device, options, ChooseFusedKernel<kBits, 32, Arguments>(config),
                          arguments);
  }
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_CUH_
