// What quantizing on the CPU takes beside W and H, in whose memory it works, and the result.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_WORKSPACE_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_WORKSPACE_H_

#include <cstdint>

#include "kernels/api/weight_format.h"
#include "kernels/formats/qtip/qtip_code.h"

namespace qtipd {

// What never is exceeded, whatever the matrix and the number of threads.
inline constexpr uint64_t kQtipMostCpuWorkspace = uint64_t{1} << 30;

// Upper bound in bytes for one quantization on `threads` threads. `finds_scale`: option
// scale_override is auto.
uint64_t QtipCpuWorkspaceBytes(const QtipCodeSpec& spec, Shape shape, bool has_hessian,
                               bool finds_scale, int threads);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CPU_WORKSPACE_H_
