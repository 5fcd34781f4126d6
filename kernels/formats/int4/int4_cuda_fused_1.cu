// The fused kernels for 1 scale a unit, a file of their own to compile beside the others.
#include "kernels/formats/int4/int4_cuda_fused.cuh"

namespace qtipd {

template absl::Status LaunchInt4FusedKernel<1>(const CudaDevice&, bool, const Int4FusedArguments&);

}  // namespace qtipd
