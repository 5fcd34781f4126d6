// A kernel of known length.
#ifndef QTIPD_TESTS_KERNELS_CUDA_SPIN_KERNEL_H_
#define QTIPD_TESTS_KERNELS_CUDA_SPIN_KERNEL_H_

#include <cuda_runtime_api.h>

namespace qtipd {

// Enqueues a kernel of one thread that spins for `nanoseconds` of the GPU's global timer.
cudaError_t EnqueueSpin(cudaStream_t stream, unsigned nanoseconds);

}  // namespace qtipd

#endif  // QTIPD_TESTS_KERNELS_CUDA_SPIN_KERNEL_H_
