// GPUs that configurations are tried for, by what a configuration depends on.
#ifndef QTIPD_TESTS_KERNELS_FORMATS_QTIP_CUDA_GPUS_H_
#define QTIPD_TESTS_KERNELS_FORMATS_QTIP_CUDA_GPUS_H_

#include <string_view>

#include "kernels/cuda/cuda_limits.h"

namespace qtipd {

struct Gpu {
  const char* name;
  CudaLimits limits;
};

// Shared memory of a block: CUDA C++ Programming Guide 13.0, "Technical Specifications per Compute
// Capability" (163 KB for 8.0 and 8.7, 99 KB for 8.6, 8.9 and 12.x, 227 KB for 9.0, 10.x and 11.0).
// Multiprocessors: NVIDIA's architecture white papers (A100; GA102 for RTX 3090 and, with 9216
// cores of 128 each, A10; Ada for RTX 4090 and, with 7424, L4; H100, whose full die H200 shares;
// RTX Blackwell for RTX 5090; RTX PRO Blackwell for RTX PRO 6000, 24064 cores); B200:
// chipsandcheese.com/p/nvidias-b200-keeping-the-cuda-juggernaut. A MIG slice of an H100 has 16.
inline constexpr Gpu kGpus[] = {
    {"A100", {.multiprocessors = 108, .shared_bytes = 163 * 1024, .compute_capability = 80}},
    {"RTX 3090", {.multiprocessors = 82, .shared_bytes = 99 * 1024, .compute_capability = 86}},
    {"A10", {.multiprocessors = 72, .shared_bytes = 99 * 1024, .compute_capability = 86}},
    {"L4", {.multiprocessors = 58, .shared_bytes = 99 * 1024, .compute_capability = 89}},
    {"RTX 4090", {.multiprocessors = 128, .shared_bytes = 99 * 1024, .compute_capability = 89}},
    {"H100 slice",
     {.multiprocessors = 16,
      .shared_bytes = 227 * 1024,
      .compute_capability = 90,
      .has_warpgroup_mma = true}},
    {"H200",
     {.multiprocessors = 132,
      .shared_bytes = 227 * 1024,
      .compute_capability = 90,
      .has_warpgroup_mma = true}},
    // A build without machine code for 9.0, which runs there as PTX.
    {"H200, PTX", {.multiprocessors = 132, .shared_bytes = 227 * 1024, .compute_capability = 90}},
    {"B200", {.multiprocessors = 148, .shared_bytes = 227 * 1024, .compute_capability = 100}},
    {"RTX 5090", {.multiprocessors = 170, .shared_bytes = 99 * 1024, .compute_capability = 120}},
    {"RTX PRO 6000",
     {.multiprocessors = 188, .shared_bytes = 99 * 1024, .compute_capability = 120}},
};

inline CudaLimits LimitsOf(std::string_view name) {
  for (const Gpu& gpu : kGpus) {
    if (name == gpu.name) return gpu.limits;
  }
  return {};  // of no use: every configuration would divide by zero
}

}  // namespace qtipd

#endif  // QTIPD_TESTS_KERNELS_FORMATS_QTIP_CUDA_GPUS_H_
