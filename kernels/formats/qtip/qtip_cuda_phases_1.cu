// The traced build of the fused kernels at 1 bit; see qtip_cuda_probe.cuh.
#include "kernels/formats/qtip/qtip_cuda_fused.cuh"

namespace qtipd {

template absl::Status LaunchFusedBits<1, TracedArguments>(const CudaDevice&, const FusedConfig&,
                                                          const TracedArguments&);

}  // namespace qtipd
