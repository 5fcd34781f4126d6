// Programmatic dependent launch (compute capability 9.0; elsewhere grids simply run one by one).
#ifndef QTIPD_KERNELS_CUDA_PTX_DEPENDENT_LAUNCH_H_
#define QTIPD_KERNELS_CUDA_PTX_DEPENDENT_LAUNCH_H_

namespace qtipd::ptx {

// Lets the next grid of the stream start while this one runs. Once every block has said so.
__device__ __forceinline__ void LaunchDependents() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// Waits until the grids before this one have finished and their writes are visible. Every kernel
// launched with LaunchOptions::overlaps_previous must call it before it touches memory that they
// write or read, and must call it in any case: finishing tells the next grid that all earlier ones
// have finished.
__device__ __forceinline__ void WaitForPreviousGrids() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

}  // namespace qtipd::ptx

#endif  // QTIPD_KERNELS_CUDA_PTX_DEPENDENT_LAUNCH_H_
