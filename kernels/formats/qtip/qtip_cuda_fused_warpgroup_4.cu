// The fused kernels whose warps multiply four at a time, at 4 bits, and their traced build.
#include "kernels/formats/qtip/qtip_cuda_fused_warpgroup.cuh"

namespace qtipd {

template absl::Status LaunchWarpgroupBits<4, FusedArguments>(const CudaDevice&, const FusedConfig&,
                                                             const FusedArguments&);
template absl::Status LaunchWarpgroupBits<4, TracedArguments>(const CudaDevice&, const FusedConfig&,
                                                              const TracedArguments&);

}  // namespace qtipd
