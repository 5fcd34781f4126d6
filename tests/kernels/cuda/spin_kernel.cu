#include "tests/kernels/cuda/spin_kernel.h"

#include "kernels/cuda/ptx/timer.h"

namespace qtipd {
namespace {

__global__ void Spin(unsigned nanoseconds) {
  const uint64_t end = ptx::GlobalTimerNanoseconds() + nanoseconds;
  while (ptx::GlobalTimerNanoseconds() < end) {
  }
}

}  // namespace

cudaError_t EnqueueSpin(cudaStream_t stream, unsigned nanoseconds) {
  Spin<<<1, 1, 0, stream>>>(nanoseconds);
  return cudaGetLastError();
}

}  // namespace qtipd
