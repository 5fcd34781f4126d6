// The traced build of the fused kernels at 2 bits; see qtip_cuda_probe.cuh.
#include "kernels/formats/qtip/qtip_cuda_fused.cuh"

namespace qtipd {

template absl::Status LaunchFusedBits<2, TracedArguments>(const CudaDevice&, const FusedConfig&,
                                                          const TracedArguments&);

}  // namespace qtipd
