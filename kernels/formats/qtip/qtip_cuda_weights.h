// A QTIP layer resident on a GPU.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_WEIGHTS_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_WEIGHTS_H_

#include <memory>

#include "kernels/api/weight_format.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/qtip/qtip_layer.h"

namespace qtipd {

// Bytes on the device of a layer with `copies` copies: units and table per copy, SU and SV once.
// The signs of Hadamard matrices, at most kMaxHadamardSignBytes a side, are not among them.
uint64_t QtipCudaResidentBytes(Shape shape, const QtipCodeSpec& spec, int copies);

// Uploads `layer` and repacks it for the fused kernel. Blocks. Errors: DEVICE_MEMORY_EXHAUSTED.
absl::StatusOr<std::unique_ptr<ResidentWeights>> LoadQtipOnCuda(CudaDevice& device,
                                                                const QtipLayer& layer);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_WEIGHTS_H_
