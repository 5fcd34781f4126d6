#include "kernels/cuda/cuda_graph.h"

#include <utility>

#include "kernels/api/status.h"
#include "kernels/cuda/cuda_delay.h"
#include "kernels/cuda/cuda_handles.h"
#include "kernels/cuda/cuda_status.h"

namespace qtipd {
namespace {

// Longer than the host takes to queue two events and a graph.
constexpr unsigned kQueueingNanoseconds = 60'000;

class GraphRecording final : public Recording {
 public:
  GraphRecording(cudaStream_t stream, CudaGraphExec graph, CudaEvent begin, CudaEvent end)
      : stream_(stream), graph_(std::move(graph)), begin_(std::move(begin)), end_(std::move(end)) {}

  absl::StatusOr<double> Replay() override {
    QTIPD_RETURN_IF_CUDA_ERROR(EnqueueCudaDelay(stream_, kQueueingNanoseconds));
    QTIPD_RETURN_IF_CUDA_ERROR(cudaEventRecord(begin_.get(), stream_));
    QTIPD_RETURN_IF_CUDA_ERROR(cudaGraphLaunch(graph_.get(), stream_));
    QTIPD_RETURN_IF_CUDA_ERROR(cudaEventRecord(end_.get(), stream_));
    QTIPD_RETURN_IF_CUDA_ERROR(cudaEventSynchronize(end_.get()));
    float milliseconds = 0;
    QTIPD_RETURN_IF_CUDA_ERROR(cudaEventElapsedTime(&milliseconds, begin_.get(), end_.get()));
    return milliseconds * 1e-3;
  }

 private:
  cudaStream_t stream_;
  CudaGraphExec graph_;
  CudaEvent begin_;
  CudaEvent end_;
};

absl::StatusOr<CudaEvent> CreateEvent() {
  cudaEvent_t event = nullptr;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaEventCreate(&event));
  return CudaEvent(event);
}

absl::StatusOr<CudaGraph> Capture(cudaStream_t stream,
                                  const std::function<absl::Status()>& enqueue) {
  QTIPD_RETURN_IF_CUDA_ERROR(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  const absl::Status enqueued = enqueue();
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
  CudaGraph owner(graph);
  if (!enqueued.ok()) {
    cudaGetLastError();  // an invalidated capture is told by `enqueued`
    return enqueued;
  }
  QTIPD_RETURN_IF_CUDA_ERROR(ended);
  return owner;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Recording>> RecordCudaGraph(
    cudaStream_t stream, const std::function<absl::Status()>& enqueue) {
  QTIPD_ASSIGN_OR_RETURN(CudaGraph graph, Capture(stream, enqueue));
  cudaGraphExec_t executable = nullptr;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaGraphInstantiate(&executable, graph.get(), 0));
  CudaGraphExec owner(executable);
  QTIPD_RETURN_IF_CUDA_ERROR(cudaGraphUpload(executable, stream));
  QTIPD_ASSIGN_OR_RETURN(CudaEvent begin, CreateEvent());
  QTIPD_ASSIGN_OR_RETURN(CudaEvent end, CreateEvent());
  return std::make_unique<GraphRecording>(stream, std::move(owner), std::move(begin),
                                          std::move(end));
}

}  // namespace qtipd
