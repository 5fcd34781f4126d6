// Format "int4" on the CPU backend.
#ifndef QTIPD_KERNELS_FORMATS_INT4_INT4_CPU_H_
#define QTIPD_KERNELS_FORMATS_INT4_INT4_CPU_H_

#include <memory>

#include "kernels/api/weight_format.h"

namespace qtipd {

std::unique_ptr<FormatBackend> MakeInt4CpuBackend();

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_INT4_INT4_CPU_H_
