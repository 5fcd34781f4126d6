// The fused kernels at 1 bit, a file of their own to compile beside the others.
#include "kernels/formats/qtip/qtip_cuda_fused.cuh"

namespace qtipd {

template absl::Status LaunchFusedBits<1, FusedArguments>(const CudaDevice&, const FusedConfig&,
                                                         const FusedArguments&);

}  // namespace qtipd
