// Where the time inside the fused kernel goes, from the traced build of it.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PHASES_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PHASES_H_

#include <span>

#include "kernels/api/weight_format.h"
#include "kernels/formats/qtip/qtip_cuda_fused.h"

namespace qtipd {

// The phases of one launch: kernel_seconds from the first block's begin to the last one's end;
// codebook, loop and reduce as means over the blocks, and launch_skew, what blocks waited on
// average before they began and after they ended. The four add up to the kernel. Blocks are records
// of one launch, at least one; all zero where no block ran.
PhaseTimes SummarisePhases(std::span<const PhaseRecord> blocks);

// Runs the traced build once and blocks. Arguments as LaunchFused; z is overwritten.
// Errors: DEVICE_MEMORY_EXHAUSTED.
absl::StatusOr<PhaseTimes> MeasureFusedPhases(CudaDevice& device, const FusedProblem& problem,
                                              const void* packed, const void* table, const void* u,
                                              void* z);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PHASES_H_
