// One NVIDIA GPU as a Device: a stream, plain allocations, time from events around graphs.
#ifndef QTIPD_KERNELS_CUDA_CUDA_DEVICE_H_
#define QTIPD_KERNELS_CUDA_CUDA_DEVICE_H_

#include <functional>
#include <memory>

#include "kernels/api/device.h"
#include "kernels/cuda/cuda_handles.h"

namespace qtipd {

// Owned and called by one thread, like every Device; that thread has the GPU as its current one.
// cuBLAS workspace is allocated once, so that its calls can be captured into graphs.
class CudaDevice final : public Device {
 public:
  // Opens GPU `index` and makes it the calling thread's current device.
  static absl::StatusOr<std::unique_ptr<CudaDevice>> Open(int index);
  ~CudaDevice() override;

  cudaStream_t stream() const { return stream_.get(); }
  cublasHandle_t cublas() const { return cublas_.get(); }
  cublasLtHandle_t cublas_lt() const { return cublas_lt_.get(); }
  // Scratch of cuBLASLt calls; reused by all, which run in order on the one stream.
  void* lt_workspace() const { return lt_workspace_.data(); }
  size_t lt_workspace_bytes() const { return lt_workspace_.bytes(); }

  const DeviceInfo& info() const override { return info_; }
  absl::StatusOr<DeviceMemory> Memory() override;
  absl::StatusOr<Buffer> Allocate(size_t bytes) override;
  absl::Status CopyToDevice(void* device_dst, const void* host_src, size_t bytes) override;
  absl::Status CopyToHost(void* host_dst, const void* device_src, size_t bytes) override;
  absl::Status Copy(void* dst, const void* src, size_t bytes) override;
  absl::Status Fill(void* dst, uint8_t value, size_t bytes) override;
  absl::Status Synchronize() override;
  absl::StatusOr<std::unique_ptr<Recording>> Record(
      const std::function<absl::Status()>& enqueue) override;
  absl::StatusOr<std::unique_ptr<DenseMultiply>> PrepareDense(const DenseProblem& problem) override;
  absl::Status Health() override;

 private:
  explicit CudaDevice(DeviceInfo info) : info_(std::move(info)) {}
  absl::Status CreateHandles();
  void Free(void* data) override;

  DeviceInfo info_;
  CudaStream stream_;
  CublasHandle cublas_;
  CublasLtHandle cublas_lt_;
  Buffer cublas_workspace_;
  Buffer lt_workspace_;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUDA_DEVICE_H_
