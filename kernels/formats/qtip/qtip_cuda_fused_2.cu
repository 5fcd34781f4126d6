// The fused kernels at 2 bits, a file of their own to compile beside the others.
#include "kernels/formats/qtip/qtip_cuda_fused.cuh"

namespace qtipd {

template absl::Status LaunchFusedBits<2, FusedArguments>(const CudaDevice&, const FusedConfig&,
                                                         const FusedArguments&);

}  // namespace qtipd
