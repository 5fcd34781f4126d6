// The fused kernels of a whole linear at 2 bits, a file of their own to compile beside the others.
#include "kernels/formats/qtip/qtip_cuda_linear_kernels.cuh"

namespace qtipd {

template absl::Status LaunchLinearBits<2>(const CudaDevice&, const FusedConfig&,
                                          const LinearArguments&);

}  // namespace qtipd
