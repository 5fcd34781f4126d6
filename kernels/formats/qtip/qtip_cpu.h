// QTIP on the CPU backend.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_H_

#include <memory>

#include "kernels/api/weight_format.h"

namespace qtipd {

// The "cpu" half of format "qtip": Quantize, Load and the resident layer.
std::unique_ptr<FormatBackend> MakeQtipCpuBackend();

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_H_
