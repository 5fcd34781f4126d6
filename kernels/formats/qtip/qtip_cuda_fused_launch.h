// How every fused kernel is launched.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_LAUNCH_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_LAUNCH_H_

#include "kernels/cuda/launch.h"
#include "kernels/formats/qtip/qtip_cuda_fused.h"

namespace qtipd {

// In blocks of `threads`.
inline LaunchOptions FusedLaunchOptions(const FusedConfig& config, unsigned threads) {
  return {.grid = static_cast<unsigned>(config.grid),
          .block = threads,
          .shared_bytes = config.shared_bytes,
          .overlaps_previous = true,
          .waits_for_previous = config.waits_for_previous};
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_FUSED_LAUNCH_H_
