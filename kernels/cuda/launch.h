// Launching a kernel with shared memory, a cluster or an overlapping start.
#ifndef QTIPD_KERNELS_CUDA_LAUNCH_H_
#define QTIPD_KERNELS_CUDA_LAUNCH_H_

#include <cstddef>

#include "kernels/cuda/cuda_device.h"

namespace qtipd {

struct LaunchOptions {
  dim3 grid = 1;
  dim3 block = 32;
  size_t shared_bytes = 0;
  int cluster = 1;  // blocks along x that share their memories; more than 1 needs 9.0
  // Starts while the previous grid still runs; see ptx/dependent_launch.h for the duty.
  bool overlaps_previous = false;
  // Launched in every other respect as one that overlaps, but it begins when the previous grid has
  // ended: what a kernel takes by itself.
  bool waits_for_previous = false;
};

// Enqueues kernel(args...) on the device's stream; capturable. Errors:
// Unimplemented/SHARED_MEMORY_EXCEEDED, and the runtime's own.
template <typename... Params, typename... Args>
absl::Status LaunchKernel(const CudaDevice& device, const LaunchOptions& options,
                          void (*kernel)(Params...), Args... args) {
  constexpr size_t kDefaultSharedLimit = 48 * 1024;
  QTIPD_RETURN_IF_ERROR(device.CheckSharedBytes(options.shared_bytes));
  if (options.shared_bytes > kDefaultSharedLimit) {
    QTIPD_RETURN_IF_CUDA_ERROR(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                                    cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                    static_cast<int>(options.shared_bytes)));
  }
  // Grids that overlap must agree on how L1 and shared memory split, or a multiprocessor waits
  // until it is empty to change its split.
  if (options.overlaps_previous) {
    QTIPD_RETURN_IF_CUDA_ERROR(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                                    cudaFuncAttributePreferredSharedMemoryCarveout,
                                                    cudaSharedmemCarveoutMaxShared));
  }
  cudaLaunchAttribute attributes[2];
  cudaLaunchConfig_t config = {};
  config.gridDim = options.grid;
  config.blockDim = options.block;
  config.dynamicSmemBytes = options.shared_bytes;
  config.stream = device.stream();
  config.attrs = attributes;
  if (options.cluster > 1) {
    attributes[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
    attributes[config.numAttrs].val.clusterDim.x = static_cast<unsigned>(options.cluster);
    attributes[config.numAttrs].val.clusterDim.y = 1;
    attributes[config.numAttrs++].val.clusterDim.z = 1;
  }
  const bool starts_early = options.overlaps_previous && !options.waits_for_previous;
  if (starts_early && device.compute_capability() >= 90) {
    attributes[config.numAttrs].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[config.numAttrs++].val.programmaticStreamSerializationAllowed = 1;
  }
  QTIPD_RETURN_IF_CUDA_ERROR(cudaLaunchKernelEx(&config, kernel, Params(args)...));
  return absl::OkStatus();
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_LAUNCH_H_
