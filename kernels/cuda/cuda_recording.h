// A sequence of enqueued work as a CUDA graph, replayed and timed by events.
#ifndef QTIPD_KERNELS_CUDA_CUDA_RECORDING_H_
#define QTIPD_KERNELS_CUDA_CUDA_RECORDING_H_

#include <functional>
#include <memory>

#include "kernels/api/device.h"
#include "kernels/cuda/cuda_handles.h"

namespace qtipd {

class CudaRecording final : public Recording {
 public:
  // Captures what `enqueue` puts on `stream`. Errors: those of `enqueue`, or of the capture, which
  // a blocking call or an allocation inside `enqueue` invalidates.
  static absl::StatusOr<std::unique_ptr<Recording>> Record(
      cudaStream_t stream, const std::function<absl::Status()>& enqueue);

  absl::StatusOr<ReplayTiming> Replay() override;

 private:
  CudaRecording() = default;

  cudaStream_t stream_ = nullptr;
  CudaGraphExec graph_;
  CudaEvent start_;
  CudaEvent stop_;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUDA_RECORDING_H_
