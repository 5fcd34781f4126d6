#include "kernels/cuda/cuda_recording.h"

#include <utility>

#include "kernels/cuda/cuda_delay.h"

namespace qtipd {
namespace {

// Longer than the host takes to queue two events and a graph.
constexpr unsigned kQueueingNanoseconds = 60'000;

// Ends the capture even where `enqueue` failed: the stream would stay unusable.
absl::StatusOr<CudaGraph> Capture(cudaStream_t stream,
                                  const std::function<absl::Status()>& enqueue) {
  QTIPD_RETURN_IF_CUDA_ERROR(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  const absl::Status enqueued = enqueue();
  cudaGraph_t graph = nullptr;
  const absl::Status ended = QTIPD_CUDA_STATUS(cudaStreamEndCapture(stream, &graph));
  CudaGraph owned(graph);
  QTIPD_RETURN_IF_ERROR(enqueued);
  QTIPD_RETURN_IF_ERROR(ended);
  return owned;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Recording>> CudaRecording::Record(
    cudaStream_t stream, const std::function<absl::Status()>& enqueue) {
  QTIPD_ASSIGN_OR_RETURN(const CudaGraph graph, Capture(stream, enqueue));
  std::unique_ptr<CudaRecording> recording(new CudaRecording());
  recording->stream_ = stream;
  QTIPD_ASSIGN_OR_RETURN(recording->start_, MakeCudaEvent());
  QTIPD_ASSIGN_OR_RETURN(recording->stop_, MakeCudaEvent());
  cudaGraphExec_t exec = nullptr;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaGraphInstantiate(&exec, graph.get(), 0));
  recording->graph_.reset(exec);
  // Otherwise the first replay pays for it.
  QTIPD_RETURN_IF_CUDA_ERROR(cudaGraphUpload(exec, stream));
  QTIPD_RETURN_IF_CUDA_ERROR(cudaStreamSynchronize(stream));
  return recording;
}

absl::StatusOr<ReplayTiming> CudaRecording::Replay() {
  QTIPD_RETURN_IF_CUDA_ERROR(EnqueueCudaDelay(stream_, kQueueingNanoseconds));
  QTIPD_RETURN_IF_CUDA_ERROR(cudaEventRecord(start_.get(), stream_));
  QTIPD_RETURN_IF_CUDA_ERROR(cudaGraphLaunch(graph_.get(), stream_));
  QTIPD_RETURN_IF_CUDA_ERROR(cudaEventRecord(stop_.get(), stream_));
  QTIPD_RETURN_IF_CUDA_ERROR(cudaEventSynchronize(stop_.get()));
  float milliseconds = 0;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaEventElapsedTime(&milliseconds, start_.get(), stop_.get()));
  return ReplayTiming{.seconds = milliseconds * 1e-3};
}

}  // namespace qtipd
