// The fused kernels of a whole linear, at one rate.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LINEAR_KERNELS_CUH_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LINEAR_KERNELS_CUH_

#include "kernels/formats/qtip/qtip_cuda_fused_looping.cuh"
#include "kernels/formats/qtip/qtip_cuda_fused_resident.cuh"

namespace qtipd {

// Registers of a thread: they leave some for the output rotation's blocks, which so start beside a
// fused kernel, and the next linear's need not wait for them to end before it fills its tables.
inline constexpr int kLinearRegisters = 112;

template <int kBits, int kUnits>
__global__ void __maxnreg__(kLinearRegisters) LinearResident(const LinearArguments args) {
  MultiplyResident<kBits, kUnits, 1>(args);
}

template <int kBits, int kRows, int kReplicas>
__global__ void __maxnreg__(kLinearRegisters) LinearLooping(const LinearArguments args) {
  MultiplyLooping<kBits, kRows, 1, kReplicas>(args);
}

template <int kBits>
auto ChooseLinearKernel(const FusedConfig& config) {
  if (config.table_replicas == kFewReplicas) return LinearLooping<kBits, 2, kFewReplicas>;
  if (config.units_per_warp == 1) return LinearResident<kBits, 1>;
  if (config.units_per_warp == 2) return LinearResident<kBits, 2>;
  if (config.units_per_warp == 4) return LinearResident<kBits, 4>;
  if (config.rows_in_flight == 1) return LinearLooping<kBits, 1, kMostReplicas>;
  if (config.rows_in_flight == 2) return LinearLooping<kBits, 2, kMostReplicas>;
  if (config.rows_in_flight == 3) return LinearLooping<kBits, 3, kMostReplicas>;
  return LinearLooping<kBits, 4, kMostReplicas>;
}

template <int kBits>
absl::Status LaunchLinearBits(const CudaDevice& device, const FusedConfig& config,
                              const LinearArguments& arguments) {
  const LaunchOptions options = {.grid = static_cast<unsigned>(config.grid),
                                 .block = kDecodeThreads,
                                 .shared_bytes = config.shared_bytes,
                                 .overlaps_previous = true};
  return LaunchKernel(device, options, ChooseLinearKernel<kBits>(config), arguments);
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_LINEAR_KERNELS_CUH_
