// Holds the GPU while the host queues what is to be timed, and reads the GPU's clocks around it.
#ifndef QTIPD_KERNELS_CUDA_CUDA_GATE_H_
#define QTIPD_KERNELS_CUDA_CUDA_GATE_H_

#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/cuda_handles.h"

namespace qtipd {

struct CudaGateMemory;  // shared with the kernels

// A kernel of one thread that spins until the host lets it go: whatever is queued behind it before
// is there in full when it starts, however slow the host's launches are. Between Close and Open the
// host must not allocate, synchronise or load a module: it would wait for the gate, which waits for
// it. A gate that nobody opens ends by itself after `timeout` of the GPU's timer, and Check says
// so. One stream, one thread. Source of the method: nvbench (https://github.com/NVIDIA/nvbench),
// blocking kernel and time stamps around a cold measurement.
class CudaGate {
 public:
  // Takes page-locked memory and runs every kernel once, so that none is loaded behind the gate.
  static absl::StatusOr<std::unique_ptr<CudaGate>> Create(cudaStream_t stream,
                                                          std::chrono::nanoseconds timeout);

  // Enqueues the wait, and the reading of both clocks where it ends.
  absl::Status Close();
  // Enqueues the second reading, on the same multiprocessor.
  absl::Status Stamp();
  // Lets the GPU go on. Never fails; without Close before, does nothing.
  void Open();

  // Once the stream has finished: Unavailable/REPLAY_BLOCKED_TIMEOUT where the gate ended by
  // itself.
  absl::Status Check() const;
  // Once the stream has finished: cycles over time from Close's end to Stamp; 0 where no block of
  // the second reading ran on the multiprocessor of the first, or the time is less than 100 ticks
  // of the timer.
  double ClockHertz() const;

 private:
  CudaGate(cudaStream_t stream, std::chrono::nanoseconds timeout)
      : stream_(stream), timeout_(timeout) {}

  const cudaStream_t stream_;
  const std::chrono::nanoseconds timeout_;
  int blocks_ = 0;  // one a multiprocessor
  CudaHandle<CudaGateMemory*, cudaFreeHost> memory_;
  CudaHandle<uint32_t*, cudaFree> multiprocessor_;  // that the gate ran on
  uint32_t ticket_ = 0;                             // of the last Close
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUDA_GATE_H_
