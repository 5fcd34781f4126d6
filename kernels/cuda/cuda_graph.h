// Work captured into a CUDA graph and timed by events around its replay.
#ifndef QTIPD_KERNELS_CUDA_CUDA_GRAPH_H_
#define QTIPD_KERNELS_CUDA_CUDA_GRAPH_H_

#include <cuda_runtime_api.h>

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "kernels/api/device.h"

namespace qtipd {

// Captures what `enqueue` puts on `stream`, uploads the graph, and returns it ready for replay.
absl::StatusOr<std::unique_ptr<Recording>> RecordCudaGraph(
    cudaStream_t stream, const std::function<absl::Status()>& enqueue);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUDA_GRAPH_H_
