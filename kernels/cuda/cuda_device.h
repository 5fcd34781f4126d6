// One NVIDIA GPU as a Device: one stream, plain allocations, recordings as CUDA graphs.
#ifndef QTIPD_KERNELS_CUDA_CUDA_DEVICE_H_
#define QTIPD_KERNELS_CUDA_CUDA_DEVICE_H_

#include <functional>
#include <memory>

#include "kernels/api/device.h"
#include "kernels/cuda/cuda_gate.h"
#include "kernels/cuda/cuda_handles.h"
#include "kernels/cuda/cuda_limits.h"

namespace qtipd {

// Owned and called by one thread; Open makes the device current on it.
class CudaDevice final : public Device {
 public:
  // Errors: Unimplemented/DEVICE_UNSUPPORTED below compute capability 8.0,
  // Unimplemented/DEVICE_CODE_MISSING where this build has no code for it, and the runtime's own.
  static absl::StatusOr<std::unique_ptr<CudaDevice>> Open(int index);

  ~CudaDevice() override;

  const DeviceInfo& info() const override { return info_; }
  absl::StatusOr<DeviceMemory> Memory() override;
  absl::StatusOr<Buffer> Allocate(size_t bytes) override;
  absl::Status CopyToDevice(void* device_dst, const void* host_src, size_t bytes) override;
  absl::Status CopyToHost(void* host_dst, const void* device_src, size_t bytes) override;
  absl::Status Copy(void* dst, const void* src, size_t bytes) override;
  absl::Status Fill(void* dst, uint8_t value, size_t bytes) override;
  absl::Status Synchronize() override;
  absl::Status Convert(void* dst, DType dst_dtype, const void* src, DType src_dtype,
                       int64_t count) override;
  absl::Status FlushCaches() override;
  absl::StatusOr<std::unique_ptr<Recording>> Record(
      const std::function<absl::Status()>& enqueue) override;
  absl::StatusOr<std::unique_ptr<DenseMultiply>> PrepareDense(const DenseProblem&) override;
  absl::StatusOr<DeviceCeiling> MeasureCeiling(const std::function<bool()>& is_cancelled) override;
  absl::Status Health() override;

  // The queue that every kernel of this device goes to.
  cudaStream_t stream() const { return stream_.get(); }
  // Bound to stream(), with a workspace of its own, so that its calls can be captured. FP32 means
  // FP32: TF32 is off.
  cublasHandle_t cublas() const { return cublas_.get(); }
  cublasLtHandle_t cublas_lt() const { return cublas_lt_.get(); }
  // For cuBLASLt calls on stream().
  const Buffer& workspace() const { return workspace_; }
  const CudaLimits& limits() const { return limits_; }
  int multiprocessors() const { return limits_.multiprocessors; }
  int compute_capability() const { return limits_.compute_capability; }
  // OK where a block may have `bytes` of shared memory, else Unimplemented/SHARED_MEMORY_EXCEEDED.
  absl::Status CheckSharedBytes(size_t bytes) const;

 private:
  CudaDevice() = default;
  absl::Status Initialize(int index);
  absl::Status ReadInfo(int index);
  absl::Status CreateCublas();
  void Free(void* data) override;

  DeviceInfo info_;
  CudaLimits limits_;
  absl::Status health_;
  CudaStream stream_;
  std::unique_ptr<CudaGate> gate_;  // of every recording
  Buffer workspace_;                // released before stream_
  Buffer flush_memory_;             // as large as L2, from the first flush
  CublasHandle cublas_;
  CublasLtHandle cublas_lt_;
};

// The CudaDevice behind `device`, which the caller knows to be of backend "cuda": formats register
// their CUDA half for that backend alone.
inline CudaDevice& AsCudaDevice(Device& device) { return static_cast<CudaDevice&>(device); }

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUDA_DEVICE_H_
