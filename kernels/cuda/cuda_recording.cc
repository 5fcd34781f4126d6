#include "kernels/cuda/cuda_recording.h"

namespace qtipd {
namespace {

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
    cudaStream_t stream, CudaGate& gate, const std::function<absl::Status()>& enqueue) {
  QTIPD_ASSIGN_OR_RETURN(const CudaGraph graph, Capture(stream, enqueue));
  std::unique_ptr<CudaRecording> recording(new CudaRecording(stream, gate));
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

absl::Status CudaRecording::Queue() {
  QTIPD_RETURN_IF_ERROR(gate_.Close());
  QTIPD_RETURN_IF_CUDA_ERROR(cudaEventRecord(start_.get(), stream_));
  QTIPD_RETURN_IF_CUDA_ERROR(cudaGraphLaunch(graph_.get(), stream_));
  QTIPD_RETURN_IF_CUDA_ERROR(cudaEventRecord(stop_.get(), stream_));
  return gate_.Stamp();
}

absl::Status CudaRecording::Enqueue() {
  QTIPD_RETURN_IF_CUDA_ERROR(cudaGraphLaunch(graph_.get(), stream_));
  return absl::OkStatus();
}

absl::StatusOr<ReplayTiming> CudaRecording::Replay() {
  const absl::Status queued = Queue();
  gate_
      .Open();  // also where queueing failed: what is behind the gate must not wait for its timeout
  QTIPD_RETURN_IF_ERROR(queued);
  QTIPD_RETURN_IF_CUDA_ERROR(cudaStreamSynchronize(stream_));
  QTIPD_RETURN_IF_ERROR(gate_.Check());
  float milliseconds = 0;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaEventElapsedTime(&milliseconds, start_.get(), stop_.get()));
  return ReplayTiming{.seconds = milliseconds * 1e-3, .clock_hertz = gate_.ClockHertz()};
}

}  // namespace qtipd
