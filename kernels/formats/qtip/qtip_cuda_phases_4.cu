// The traced build of the fused kernels at 4 bits; see qtip_cuda_probe.cuh.
#include "kernels/formats/qtip/qtip_cuda_fused.cuh"

namespace qtipd {

template absl::Status LaunchFusedBits<4, TracedArguments>(const CudaDevice&, const FusedConfig&,
                                                          const TracedArguments&);

}  // namespace qtipd
