// Where the time inside the fused kernel goes, from the traced build of it.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PHASES_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PHASES_H_

#include <functional>
#include <memory>
#include <span>

#include "kernels/api/weight_format.h"
#include "kernels/formats/qtip/qtip_cuda_fused.h"

namespace qtipd {

// The phases of one launch: kernel_seconds from the first block's begin to the last one's end;
// codebook, loop and reduce as means over the blocks, and launch_skew, what blocks waited on
// average before they began and after they ended. The four add up to the kernel. Blocks are records
// of one launch, at least one; all zero where no block ran.
PhaseTimes SummarisePhases(std::span<const PhaseRecord> blocks);

// Enqueues the fused kernel by itself on a weight copy, as LaunchFusedAlone.
using LaunchFusedCopy = std::function<absl::Status(int copy, PhaseRecord* records)>;

// As ResidentWeights::PreparePhases, for kernels of `problem` that `launch` starts.
absl::StatusOr<std::unique_ptr<PhaseTracer>> PrepareFusedPhases(CudaDevice& device,
                                                                const FusedProblem& problem,
                                                                int slots, LaunchFusedCopy launch);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_CUDA_PHASES_H_
