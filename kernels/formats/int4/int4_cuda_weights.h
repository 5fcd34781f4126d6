// An int4 layer resident on a GPU.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_WEIGHTS_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_WEIGHTS_H_

#include <memory>

#include "kernels/api/weight_format.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/int4/int4_layer.h"

namespace qtipd {

// Repacks `layer` on the host, into as many bytes of host memory as it takes on the device, and
// uploads it. Blocks. Errors: DEVICE_MEMORY_EXHAUSTED.
absl::StatusOr<std::unique_ptr<ResidentWeights>> LoadInt4OnCuda(CudaDevice& device,
                                                                const Int4Layer& layer);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_CUDA_WEIGHTS_H_
