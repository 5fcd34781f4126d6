#include "kernels/cuda/cuda_device.h"

#include <string>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/cuda/cublas_dense.h"
#include "kernels/cuda/cuda_device_info.h"
#include "kernels/cuda/cuda_graph.h"
#include "kernels/cuda/cuda_status.h"

namespace qtipd {
namespace {

// cuBLAS recommends 32 MiB on Hopper; anything it can use is below that.
constexpr size_t kWorkspaceBytes = size_t{32} << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<CudaDevice>> CudaDevice::Open(int index) {
  QTIPD_ASSIGN_OR_RETURN(DeviceInfo info, ReadCudaDeviceInfo(index));
  QTIPD_RETURN_IF_CUDA_ERROR(cudaSetDevice(index));
  std::unique_ptr<CudaDevice> device(new CudaDevice(std::move(info)));
  QTIPD_RETURN_IF_ERROR(device->CreateHandles());
  return device;
}

absl::Status CudaDevice::CreateHandles() {
  cudaStream_t stream = nullptr;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  stream_.reset(stream);
  cublasHandle_t cublas = nullptr;
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasCreate(&cublas));
  cublas_.reset(cublas);
  cublasLtHandle_t cublas_lt = nullptr;
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasLtCreate(&cublas_lt));
  cublas_lt_.reset(cublas_lt);
  QTIPD_ASSIGN_OR_RETURN(cublas_workspace_, Allocate(kWorkspaceBytes));
  QTIPD_ASSIGN_OR_RETURN(lt_workspace_, Allocate(kWorkspaceBytes));
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasSetStream(cublas, stream));
  QTIPD_RETURN_IF_CUBLAS_ERROR(
      cublasSetWorkspace(cublas, cublas_workspace_.data(), cublas_workspace_.bytes()));
  return absl::OkStatus();
}

CudaDevice::~CudaDevice() {
  if (stream_ != nullptr) cudaStreamSynchronize(stream_.get());
}

absl::StatusOr<DeviceMemory> CudaDevice::Memory() {
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaMemGetInfo(&free_bytes, &total_bytes));
  return DeviceMemory{free_bytes, total_bytes};
}

absl::StatusOr<Buffer> CudaDevice::Allocate(size_t bytes) {
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, bytes > 0 ? bytes : 1);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    QTIPD_ASSIGN_OR_RETURN(DeviceMemory memory, Memory());
    return FieldError(absl::StatusCode::kResourceExhausted, "DEVICE_MEMORY_EXHAUSTED",
                      "memory of " + info_.id, std::to_string(bytes) + " bytes",
                      std::to_string(memory.free_bytes) + " bytes free");
  }
  if (error != cudaSuccess) return CudaStatus(error, "cudaMalloc", __FILE__, __LINE__);
  return Buffer(this, data, bytes);
}

void CudaDevice::Free(void* data) { cudaFree(data); }

absl::Status CudaDevice::CopyToDevice(void* device_dst, const void* host_src, size_t bytes) {
  QTIPD_RETURN_IF_CUDA_ERROR(
      cudaMemcpyAsync(device_dst, host_src, bytes, cudaMemcpyHostToDevice, stream()));
  return Synchronize();
}

absl::Status CudaDevice::CopyToHost(void* host_dst, const void* device_src, size_t bytes) {
  QTIPD_RETURN_IF_CUDA_ERROR(
      cudaMemcpyAsync(host_dst, device_src, bytes, cudaMemcpyDeviceToHost, stream()));
  return Synchronize();
}

absl::Status CudaDevice::Copy(void* dst, const void* src, size_t bytes) {
  QTIPD_RETURN_IF_CUDA_ERROR(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDeviceToDevice, stream()));
  return absl::OkStatus();
}

absl::Status CudaDevice::Fill(void* dst, uint8_t value, size_t bytes) {
  QTIPD_RETURN_IF_CUDA_ERROR(cudaMemsetAsync(dst, value, bytes, stream()));
  return absl::OkStatus();
}

absl::Status CudaDevice::Synchronize() {
  QTIPD_RETURN_IF_CUDA_ERROR(cudaStreamSynchronize(stream()));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Recording>> CudaDevice::Record(
    const std::function<absl::Status()>& enqueue) {
  return RecordCudaGraph(stream(), enqueue);
}

absl::StatusOr<std::unique_ptr<DenseMultiply>> CudaDevice::PrepareDense(
    const DenseProblem& problem) {
  return PrepareCublasDense(*this, problem);
}

absl::Status CudaDevice::Health() {
  const cudaError_t error = cudaStreamQuery(stream());
  if (error == cudaErrorNotReady) return absl::OkStatus();
  return CudaStatus(error, "cudaStreamQuery", __FILE__, __LINE__);
}

}  // namespace qtipd
