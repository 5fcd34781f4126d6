// The kernels that a ceiling is measured with. All enqueue on the device's stream.
#ifndef QTIPD_KERNELS_CUDA_CUDA_CEILING_KERNELS_H_
#define QTIPD_KERNELS_CUDA_CUDA_CEILING_KERNELS_H_

#include <cstdint>

#include "kernels/cuda/cuda_device.h"

namespace qtipd {

// Reads `bytes`, a multiple of 16, and keeps nothing. `sink` is device memory of 4 bytes, written
// only if the data are of one value in 2^32. Which way is the fastest depends on the size: threads
// that walk through the memory with all others (0), and blocks of consecutive memory that each end
// after four (1) or eight (2) loads a thread.
inline constexpr int kReadWays = 3;
absl::Status LaunchRead(const CudaDevice& device, int way, const void* data, uint64_t bytes,
                        void* sink);
// dst = src, `bytes` each, a multiple of 16.
absl::Status LaunchCopy(const CudaDevice& device, void* dst, const void* src, uint64_t bytes);
// Nothing at all; `overlaps` lets the next one start early.
absl::Status LaunchEmpty(const CudaDevice& device, bool overlaps);

// Enough of one kind of instruction on every multiprocessor, and how many that is.
absl::Status LaunchIssue(const CudaDevice& device, void* sink);
double IssueInstructions(const CudaDevice& device);
absl::Status LaunchSharedLoads(const CudaDevice& device, void* sink);
double SharedLoadWavefronts(const CudaDevice& device);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUDA_CEILING_KERNELS_H_
