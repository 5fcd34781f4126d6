// Fused decode and multiply of `1mad` with 16 state bits: weights are computed and multiplied in
// registers. Activations are read as they are.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_H_

#include <cstdint>

#include "kernels/formats/qtip/qtip_cpu_kernel.h"

namespace qtipd {

// Whether QtipCpuMultiplyMad is for `spec`, for this batch and on this processor.
bool QtipCpuHasMadKernel(const QtipCodeSpec& spec, int64_t batch);

// As QtipCpuMultiplyRows. The sum over a row is that of the integers y - 510 of qtip_code.h times
// activations, divided at the end.
void QtipCpuMultiplyMad(const QtipCpuRows& rows, const float* u, int64_t batch,
                        int64_t out_features, float* z);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_MAD_H_
