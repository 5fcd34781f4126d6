// Keeps the GPU busy for a moment while the host queues what is to be timed.
#ifndef QTIPD_KERNELS_CUDA_CUDA_DELAY_H_
#define QTIPD_KERNELS_CUDA_CUDA_DELAY_H_

#include <cuda_runtime_api.h>

namespace qtipd {

// Enqueues a kernel of one thread that spins for `nanoseconds` of the GPU's global timer, so that
// launch latency on the host never shows between two events behind it. Always ends by itself.
cudaError_t EnqueueCudaDelay(cudaStream_t stream, unsigned nanoseconds);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUDA_DELAY_H_
