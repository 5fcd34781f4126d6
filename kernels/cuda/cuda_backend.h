// The backend of NVIDIA GPUs.
#ifndef QTIPD_KERNELS_CUDA_CUDA_BACKEND_H_
#define QTIPD_KERNELS_CUDA_CUDA_BACKEND_H_

#include <memory>

#include "kernels/api/backend.h"

namespace qtipd {

// Devices "cuda:0", "cuda:1", ... in the runtime's order. DeviceCount() fails, with
// Unavailable/BACKEND_UNAVAILABLE, without a driver, with one that is too old, or without a GPU.
// Register() is given by the module that links the formats.
std::unique_ptr<Backend> MakeCudaBackend(void (*register_formats)(Registry&));

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUDA_BACKEND_H_
