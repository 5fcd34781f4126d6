// CUDA and cuBLAS return codes as Status, at the call, with its text and place.
#ifndef QTIPD_KERNELS_CUDA_CUDA_STATUS_H_
#define QTIPD_KERNELS_CUDA_CUDA_STATUS_H_

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include "absl/status/status.h"

namespace qtipd {

// Whether the error has destroyed the context: every later call fails, only a new process helps.
bool IsStickyCudaError(cudaError_t error);

// Internal/DEVICE_LOST for a sticky error, ResourceExhausted/DEVICE_MEMORY_EXHAUSTED for a failed
// allocation, else Internal/CUDA_ERROR. `call` is the source text of the call.
absl::Status CudaStatus(cudaError_t error, const char* call, const char* file, int line);

// Internal/CUBLAS_ERROR.
absl::Status CublasStatus(cublasStatus_t error, const char* call, const char* file, int line);

}  // namespace qtipd

#define QTIPD_RETURN_IF_CUDA_ERROR(call)                                      \
  do {                                                                        \
    if (const cudaError_t qtipd_error = (call); qtipd_error != cudaSuccess) { \
      return ::qtipd::CudaStatus(qtipd_error, #call, __FILE__, __LINE__);     \
    }                                                                         \
  } while (false)

#define QTIPD_RETURN_IF_CUBLAS_ERROR(call)                                                 \
  do {                                                                                     \
    if (const cublasStatus_t qtipd_error = (call); qtipd_error != CUBLAS_STATUS_SUCCESS) { \
      return ::qtipd::CublasStatus(qtipd_error, #call, __FILE__, __LINE__);                \
    }                                                                                      \
  } while (false)

#endif  // QTIPD_KERNELS_CUDA_CUDA_STATUS_H_
