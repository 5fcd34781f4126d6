// The encoder on a GPU: W and H in, a packed layer out.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_QUANTIZE_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_QUANTIZE_H_

#include "kernels/cuda/cuda_device.h"
#include "kernels/formats/qtip/qtip_quantize.h"

namespace qtipd {

// The same as QuantizeQtip, all steps on `device`: the same layer but for fp32 rounding, and states
// of equal cost. Blocks; between kernel launches of well under 0.2 s it reports progress and looks
// for a cancellation. Errors: those of QuantizeQtip, DEVICE_MEMORY_EXHAUSTED, DEVICE_LOST.
absl::StatusOr<PackedLayer> QuantizeQtipOnCuda(CudaDevice& device, const QuantizeProblem& problem,
                                               const QtipIngredients& ingredients,
                                               Progress& progress, QuantizeReport& report);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_QUANTIZE_H_
