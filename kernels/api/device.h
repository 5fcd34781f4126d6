// A compute device: memory, copies, a queue of work in order, and time measured on the device.
#ifndef QTIPD_KERNELS_API_DEVICE_H_
#define QTIPD_KERNELS_API_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/device_ceiling.h"
#include "kernels/api/dtype.h"

namespace qtipd {

class Device;

// Owning, move-only block of device memory; freed on destruction. The Device outlives its buffers.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device* device, void* data, size_t bytes) : device_(device), data_(data), bytes_(bytes) {}
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer() { Reset(); }

  void* data() const { return data_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  size_t bytes() const { return bytes_; }
  void Reset();

 private:
  Device* device_ = nullptr;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// What a device is. Facts only; nothing here changes while the daemon runs.
struct DeviceInfo {
  std::string id;       // "cpu", "cuda:0"
  std::string backend;  // "cpu", "cuda"
  std::string name;     // "NVIDIA H200", "AMD EPYC"
  std::string uuid;     // empty where the device has none
  uint64_t memory_bytes = 0;
  uint64_t last_level_cache_bytes = 0;  // what `rotate` must exceed
  int compute_units = 0;                // SMs, or worker threads
  // True where an enqueued operation has finished when the call returns (the CPU).
  bool is_synchronous = false;
  // Element type of dense weights, activations and outputs: F16 on a GPU, F32 on the CPU.
  DType compute_dtype = DType::kF32;
  // Whether PrepareDense takes BF16, too.
  bool multiplies_bf16 = false;
  // Everything else worth recording with a run: driver, runtime, compute_capability, cublas,
  // instruction_set, blas, ... Snake case keys.
  std::map<std::string, std::string> properties;
};

struct DeviceMemory {
  uint64_t free_bytes = 0;
  uint64_t total_bytes = 0;
};

// What one replay took.
struct ReplayTiming {
  double seconds = 0;
  // Mean clock of the compute units meanwhile; 0 where the device cannot tell.
  double clock_hertz = 0;
};

// Operations recorded once, replayed as a whole: a CUDA graph; if synchronous, the call made anew.
class Recording {
 public:
  virtual ~Recording() = default;
  // Replays, waits, and returns what the device took, measured on the device (events around the
  // graph) or, on the CPU, by the monotonic clock around the calls.
  virtual absl::StatusOr<ReplayTiming> Replay() = 0;
  // Enqueues one replay and nothing of its own around it, for counters, which see all that the
  // device does; untimed, and several may follow each other. Synchronize waits for them.
  virtual absl::Status Enqueue() { return Replay().status(); }
};

// y[batch, out] = x[batch, in] * w[out, in]^T by the best dense library routine the device has.
// Prepared once for a shape.
class DenseMultiply {
 public:
  virtual ~DenseMultiply() = default;
  // Enqueues. All pointers are device memory, row-major; y is overwritten. Dtypes as in the
  // problem.
  virtual absl::Status Run(const void* w, const void* x, void* y) = 0;
  // Which library and algorithm was chosen, and every candidate with its measured seconds.
  virtual std::string description() const = 0;
  virtual std::map<std::string, double> candidate_seconds() const = 0;
};

struct DenseProblem {
  int64_t out_features = 0;
  int64_t in_features = 0;
  int64_t batch = 1;
  // Of w and x: the device's compute dtype, which stands where there is none, or BF16 on a device
  // that multiplies it.
  std::optional<DType> input_dtype;
  DType output_dtype = DType::kF32;  // F32, or that of w and x
};

// OK where both are float types, else InvalidArgument/DTYPE_UNSUPPORTED: the check of
// Device::Convert.
absl::Status CheckConvertible(DType dst_dtype, DType src_dtype);

// The dtype of activations called `name`, or the device's compute dtype if it is empty.
// Errors: InvalidArgument/ACTIVATION_DTYPE_UNSUPPORTED of any that is not the compute dtype or
// BF16.
absl::StatusOr<DType> ActivationDType(const DeviceInfo& device, std::string_view name);

// One device with one in-order queue. Owned and called by one thread (the device's executor); only
// info() may be called from others. Every failing call of the underlying runtime becomes a Status;
// a sticky one has reason DEVICE_LOST and Health() keeps returning it.
class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceInfo& info() const = 0;
  virtual absl::StatusOr<DeviceMemory> Memory() = 0;

  // Uninitialised memory, aligned to 256 bytes.
  // Errors: ResourceExhausted/DEVICE_MEMORY_EXHAUSTED with needed and free bytes.
  virtual absl::StatusOr<Buffer> Allocate(size_t bytes) = 0;

  // Blocking copies between host and device; `Copy` and `Fill` enqueue.
  virtual absl::Status CopyToDevice(void* device_dst, const void* host_src, size_t bytes) = 0;
  virtual absl::Status CopyToHost(void* host_dst, const void* device_src, size_t bytes) = 0;
  virtual absl::Status Copy(void* dst, const void* src, size_t bytes) = 0;
  virtual absl::Status Fill(void* dst, uint8_t value, size_t bytes) = 0;
  virtual absl::Status Synchronize() = 0;
  // Enqueues dst[i] = src[i] for `count` elements of F16, BF16 or F32 in device memory, rounded to
  // nearest even; what is too large becomes infinity. The memories do not overlap.
  // Errors: InvalidArgument/DTYPE_UNSUPPORTED of another type.
  virtual absl::Status Convert(void* dst, DType dst_dtype, const void* src, DType src_dtype,
                               int64_t count) = 0;
  // Evicts from the device's caches what earlier work left there; enqueues. May allocate scratch
  // memory at the first call.
  virtual absl::Status FlushCaches() = 0;

  // Runs `enqueue` once to record what it enqueues on this device. It must only enqueue: no
  // allocation, no blocking call. Everything it captured must outlive the Recording.
  virtual absl::StatusOr<std::unique_ptr<Recording>> Record(
      const std::function<absl::Status()>& enqueue) = 0;

  virtual absl::StatusOr<std::unique_ptr<DenseMultiply>> PrepareDense(const DenseProblem&) = 0;

  // Measures what the device can do at best; blocks for at most about 1.5 seconds and takes scratch
  // memory meanwhile, up to 1 GiB or a few times the last-level cache, within a quarter of what is
  // free where that allows. Errors: Cancelled; ResourceExhausted/DEVICE_MEMORY_EXHAUSTED.
  virtual absl::StatusOr<DeviceCeiling> MeasureCeiling(
      const std::function<bool()>& is_cancelled) = 0;

  // OK, or why this device can no longer be used.
  virtual absl::Status Health() = 0;

 private:
  friend class Buffer;
  virtual void Free(void* data) = 0;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_DEVICE_H_
