// The fused kernels of format "lut" whose warps multiply four at a time, at 4 bits.
#include "kernels/formats/lut/lut_cuda_warpgroup.cuh"

namespace qtipd {

template absl::Status LaunchLutWarpgroupBits<4>(const CudaDevice&, const LutFusedConfig&,
                                                const LutFusedArguments&);

}  // namespace qtipd
