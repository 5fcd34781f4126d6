// The host's processor as a Device: memory is the host's, and an enqueued call has finished when it
// returns.
#ifndef QTIPD_KERNELS_CPU_CPU_DEVICE_H_
#define QTIPD_KERNELS_CPU_CPU_DEVICE_H_

#include <functional>
#include <memory>

#include "kernels/api/device.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/io/host_facts.h"

namespace qtipd {

struct CpuDeviceConfig {
  int threads = 0;  // 0: HostFacts::usable_threads
  // Asked before every large allocation; empty: ReadHostMemory.
  std::function<HostMemory()> read_memory;
};

// Memory is aligned to 256 bytes, and blocks of 2 MiB and more are aligned to and advised for huge
// pages. A Recording keeps the enqueueing function and times a call of it by the monotonic clock.
// Owned and called by one thread, like every Device.
class CpuDevice final : public Device {
 public:
  explicit CpuDevice(CpuDeviceConfig config = {});

  // The threads that kernels on this device use.
  ThreadPool& pool() { return pool_; }

  const DeviceInfo& info() const override { return info_; }
  // Free is what can be allocated without pushing the host into its reserve.
  absl::StatusOr<DeviceMemory> Memory() override;
  absl::StatusOr<Buffer> Allocate(size_t bytes) override;
  absl::Status CopyToDevice(void* device_dst, const void* host_src, size_t bytes) override;
  absl::Status CopyToHost(void* host_dst, const void* device_src, size_t bytes) override;
  absl::Status Copy(void* dst, const void* src, size_t bytes) override;
  absl::Status Fill(void* dst, uint8_t value, size_t bytes) override;
  absl::Status Synchronize() override { return absl::OkStatus(); }
  absl::Status Convert(void* dst, DType dst_dtype, const void* src, DType src_dtype,
                       int64_t count) override;
  absl::Status FlushCaches() override;
  absl::StatusOr<std::unique_ptr<Recording>> Record(
      const std::function<absl::Status()>& enqueue) override;
  absl::StatusOr<std::unique_ptr<DenseMultiply>> PrepareDense(const DenseProblem&) override;
  absl::StatusOr<DeviceCeiling> MeasureCeiling(const std::function<bool()>& is_cancelled) override;
  absl::Status Health() override { return absl::OkStatus(); }

 private:
  void Free(void* data) override;

  std::function<HostMemory()> read_memory_;
  ThreadPool pool_;
  Buffer flush_memory_;  // from the first flush
  DeviceInfo info_;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CPU_CPU_DEVICE_H_
