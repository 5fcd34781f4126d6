// Owning handles of the CUDA runtime and cuBLAS: move-only, released on destruction.
#ifndef QTIPD_KERNELS_CUDA_CUDA_HANDLES_H_
#define QTIPD_KERNELS_CUDA_CUDA_HANDLES_H_

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include <memory>
#include <type_traits>

#include "absl/status/statusor.h"
#include "kernels/cuda/cuda_status.h"

namespace qtipd {

// A destructor can report nothing: a failing release is either a sticky error, which the next call
// returns again, or a bug that compute-sanitizer shows.
template <auto Release>
struct CudaRelease {
  template <typename T>
  void operator()(T* handle) const {
    Release(handle);
  }
};

template <typename Handle, auto Release>
using CudaHandle = std::unique_ptr<std::remove_pointer_t<Handle>, CudaRelease<Release>>;

using CudaStream = CudaHandle<cudaStream_t, cudaStreamDestroy>;
using CudaEvent = CudaHandle<cudaEvent_t, cudaEventDestroy>;
using CudaGraph = CudaHandle<cudaGraph_t, cudaGraphDestroy>;
using CudaGraphExec = CudaHandle<cudaGraphExec_t, cudaGraphExecDestroy>;
using CublasHandle = CudaHandle<cublasHandle_t, cublasDestroy>;
using CublasLtHandle = CudaHandle<cublasLtHandle_t, cublasLtDestroy>;

// An event with timing.
inline absl::StatusOr<CudaEvent> MakeCudaEvent() {
  cudaEvent_t event = nullptr;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaEventCreate(&event));
  return CudaEvent(event);
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUDA_HANDLES_H_
