#include "kernels/cuda/cuda_delay.h"
#include "kernels/cuda/ptx/timer.h"

namespace qtipd {
namespace {

__global__ void DelayKernel(unsigned nanoseconds) {
  const uint64_t end = ptx::GlobalTimerNanoseconds() + nanoseconds;
  while (ptx::GlobalTimerNanoseconds() < end) {
  }
}

}  // namespace

cudaError_t EnqueueCudaDelay(cudaStream_t stream, unsigned nanoseconds) {
  DelayKernel<<<1, 1, 0, stream>>>(nanoseconds);
  return cudaGetLastError();
}

}  // namespace qtipd
