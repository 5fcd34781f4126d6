// The launch of a fused kernel without its work.
#include "kernels/formats/qtip/qtip_cuda_fused_common.cuh"

namespace qtipd {
namespace {

__global__ void __launch_bounds__(kDecodeThreads, 1) Hollow(const TracedArguments args) {
  PhaseProbe probe(args);
  ptx::LaunchDependents();
  ptx::WaitForPreviousGrids();
  probe.TableIsReady();
  probe.Finish();
}

}  // namespace

absl::Status LaunchHollow(const CudaDevice& device, const FusedConfig& config,
                          PhaseRecord* records) {
  TracedArguments arguments = {};
  arguments.records = records;
  return LaunchKernel(device,
                      {.grid = static_cast<unsigned>(config.grid),
                       .block = kDecodeThreads,
                       .shared_bytes = config.shared_bytes,
                       .overlaps_previous = true,
                       .waits_for_previous = true},
                      Hollow, arguments);
}

}  // namespace qtipd
