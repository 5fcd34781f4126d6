// CUDA and cuBLAS results as absl::Status, with the text of the call and where it stands.
#ifndef QTIPD_KERNELS_CUDA_CUDA_STATUS_H_
#define QTIPD_KERNELS_CUDA_CUDA_STATUS_H_

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include "absl/status/status.h"
#include "kernels/api/status.h"

namespace qtipd {

// Status of a runtime call: Internal/DEVICE_LOST where the error is sticky (the context can do
// nothing any more), ResourceExhausted/DEVICE_MEMORY_EXHAUSTED when out of memory,
// Unimplemented/DEVICE_CODE_MISSING where the driver has no code to run, otherwise
// Internal/CUDA_ERROR. The metadata holds `call`, `error` and `location`.
absl::Status CudaStatus(cudaError_t error, const char* call, const char* file, int line);

// Status of a cuBLAS or cuBLASLt call: Internal/CUBLAS_ERROR.
absl::Status CublasStatus(cublasStatus_t error, const char* call, const char* file, int line);

// Whether the process must be restarted before the device works again.
bool IsStickyCudaError(cudaError_t error);

}  // namespace qtipd

#define QTIPD_CUDA_STATUS(call) ::qtipd::CudaStatus((call), #call, __FILE__, __LINE__)
#define QTIPD_RETURN_IF_CUDA_ERROR(call) QTIPD_RETURN_IF_ERROR(QTIPD_CUDA_STATUS(call))
#define QTIPD_RETURN_IF_CUBLAS_ERROR(call) \
  QTIPD_RETURN_IF_ERROR(::qtipd::CublasStatus((call), #call, __FILE__, __LINE__))

#endif  // QTIPD_KERNELS_CUDA_CUDA_STATUS_H_
