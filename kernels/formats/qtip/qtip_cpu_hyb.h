// Fused decode and multiply of `hyb` in kernel layout where a processor looks bytes up in
// registers (AVX-512 VBMI).
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_HYB_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_HYB_H_

#include <cstdint>

#include "kernels/formats/qtip/qtip_cpu_kernel.h"

namespace qtipd {

// Whether the two below are for this processor.
bool QtipCpuHasHybKernel();

// Rewrites activations u [batch, in_features] to the order in which a look-up yields weights.
void QtipCpuArrangeHyb(const float* u, int64_t batch, int64_t in_features, float* arranged);

// As QtipCpuMultiplyRows, from arranged activations.
void QtipCpuMultiplyHyb(const QtipCpuRows& rows, const float* arranged, int64_t batch,
                        int64_t out_features, float* z);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_HYB_H_
