// The fused kernels of format "lut" whose warps multiply four at a time, at 1 bit.
#include "kernels/formats/lut/lut_cuda_warpgroup.cuh"

namespace qtipd {

template absl::Status LaunchLutWarpgroupBits<1>(const CudaDevice&, const LutFusedConfig&,
                                                const LutFusedArguments&);

}  // namespace qtipd
