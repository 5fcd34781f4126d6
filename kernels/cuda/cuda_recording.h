// A sequence of enqueued work as a CUDA graph, replayed and timed by events behind a gate.
#ifndef QTIPD_KERNELS_CUDA_CUDA_RECORDING_H_
#define QTIPD_KERNELS_CUDA_CUDA_RECORDING_H_

#include <functional>
#include <memory>

#include "kernels/api/device.h"
#include "kernels/cuda/cuda_gate.h"
#include "kernels/cuda/cuda_handles.h"

namespace qtipd {

class CudaRecording final : public Recording {
 public:
  // Captures what `enqueue` puts on `stream`, which `gate` belongs to and outlives this. Errors:
  // those of `enqueue`, or of the capture, which a blocking call or an allocation inside `enqueue`
  // invalidates.
  static absl::StatusOr<std::unique_ptr<Recording>> Record(
      cudaStream_t stream, CudaGate& gate, const std::function<absl::Status()>& enqueue);

  // The events stand right before and behind the graph, which begins only once all three are
  // queued; the clocks are read outside of them. Errors: REPLAY_BLOCKED_TIMEOUT beside the
  // runtime's.
  absl::StatusOr<ReplayTiming> Replay() override;
  absl::Status Enqueue() override;

 private:
  CudaRecording(cudaStream_t stream, CudaGate& gate) : stream_(stream), gate_(gate) {}
  absl::Status Queue();

  const cudaStream_t stream_;
  CudaGate& gate_;
  CudaGraphExec graph_;
  CudaEvent start_;
  CudaEvent stop_;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUDA_RECORDING_H_
