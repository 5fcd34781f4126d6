// Backend "cuda". Linked into libqtipd_cuda.so, and directly into GPU tests.
#ifndef QTIPD_KERNELS_CUDA_CUDA_BACKEND_H_
#define QTIPD_KERNELS_CUDA_CUDA_BACKEND_H_

#include <functional>
#include <memory>

#include "kernels/api/backend.h"

namespace qtipd {

// `register_formats` adds the CUDA half of every format: RegisterBuiltinCudaFormats in the module.
// DeviceCount errors: Unavailable with DRIVER_MISSING, DRIVER_TOO_OLD or NO_DEVICE; where none of
// the GPUs can be opened, Unimplemented with DEVICE_UNSUPPORTED or DEVICE_CODE_MISSING.
std::unique_ptr<Backend> MakeCudaBackend(std::function<void(Registry&)> register_formats);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUDA_BACKEND_H_
