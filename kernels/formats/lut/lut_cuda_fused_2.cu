// The fused kernels at 2 bits, a file of their own to compile beside the others.
#include "kernels/formats/lut/lut_cuda_fused.cuh"

namespace qtipd {

template absl::Status LaunchLutFusedBits<2>(const CudaDevice&, const LutCudaLayout&,
                                            const LutFusedConfig&, const LutFusedArguments&);

}  // namespace qtipd
