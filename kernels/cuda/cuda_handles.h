// Owners of CUDA objects: move-only, destroyed with the owner.
#ifndef QTIPD_KERNELS_CUDA_CUDA_HANDLES_H_
#define QTIPD_KERNELS_CUDA_CUDA_HANDLES_H_

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include <memory>
#include <type_traits>

namespace qtipd {

// Deletes a handle with its library's function and ignores the result: nothing can be done about
// it.
template <auto kDestroy>
struct CudaDestroy {
  template <typename T>
  void operator()(T* handle) const {
    kDestroy(handle);
  }
};

template <typename Handle, auto kDestroy>
using CudaOwner = std::unique_ptr<std::remove_pointer_t<Handle>, CudaDestroy<kDestroy>>;

using CudaStream = CudaOwner<cudaStream_t, cudaStreamDestroy>;
using CudaEvent = CudaOwner<cudaEvent_t, cudaEventDestroy>;
using CudaGraph = CudaOwner<cudaGraph_t, cudaGraphDestroy>;
using CudaGraphExec = CudaOwner<cudaGraphExec_t, cudaGraphExecDestroy>;
using CublasHandle = CudaOwner<cublasHandle_t, cublasDestroy>;
using CublasLtHandle = CudaOwner<cublasLtHandle_t, cublasLtDestroy>;
using CublasLtMatmul = CudaOwner<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using CublasLtLayout = CudaOwner<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using CublasLtPreference = CudaOwner<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUDA_HANDLES_H_
