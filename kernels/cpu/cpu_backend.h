// The backend that is always there: the host's processor, one device called "cpu".
#ifndef QTIPD_KERNELS_CPU_CPU_BACKEND_H_
#define QTIPD_KERNELS_CPU_CPU_BACKEND_H_

#include <memory>

#include "kernels/api/backend.h"

namespace qtipd {

// `threads` of the device it opens; 0 means all that this process may use. Register() adds nothing:
// RegisterBuiltinFormats() brings the CPU half of every format.
std::unique_ptr<Backend> MakeCpuBackend(int threads = 0);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CPU_CPU_BACKEND_H_
