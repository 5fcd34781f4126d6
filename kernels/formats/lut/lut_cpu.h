// The CPU backend of format "lut".
#ifndef QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_H_
#define QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_H_

#include <memory>

#include "kernels/api/weight_format.h"

namespace qtipd {

// Its devices are CpuDevices.
std::unique_ptr<FormatBackend> MakeLutCpuBackend();

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_LUT_LUT_CPU_H_
