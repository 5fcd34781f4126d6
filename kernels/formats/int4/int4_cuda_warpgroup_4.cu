// The kernels whose warps multiply four at a time, of 4 scales a unit.
#include "kernels/formats/int4/int4_cuda_warpgroup.cuh"

namespace qtipd {

template absl::Status LaunchInt4StreamKernel<4>(const CudaDevice&, bool, const Int4FusedConfig&,
                                                const Int4StreamArguments&);

}  // namespace qtipd
