#include "kernels/formats/qtip/qtip_cuda_phases.h"

#include <algorithm>
#include <vector>

namespace qtipd {

PhaseTimes SummarisePhases(std::span<const PhaseRecord> blocks) {
  uint64_t begin = blocks.front().begin_nanoseconds;
  uint64_t end = 0;
  double nanoseconds = 0;
  double codebook = 0;
  double loop = 0;
  double reduce = 0;
  for (const PhaseRecord& block : blocks) {
    begin = std::min(begin, block.begin_nanoseconds);
    end = std::max(end, block.end_nanoseconds);
    nanoseconds += static_cast<double>(block.end_nanoseconds - block.begin_nanoseconds);
    codebook += block.codebook_cycles;
    loop += block.loop_cycles;
    reduce += block.reduce_cycles;
  }
  const double cycles = codebook + loop + reduce;
  // Seconds for a cycle, as a mean over the blocks: the timer ticks more coarsely than the clocks.
  const double share =
      cycles > 0 ? 1e-9 * nanoseconds / cycles / static_cast<double>(blocks.size()) : 0;
  PhaseTimes times;
  times.kernel_seconds = 1e-9 * static_cast<double>(end - begin);
  const double busy = share * cycles;
  times.phases = {{"codebook", share * codebook},
                  {"loop", share * loop},
                  {"reduce", share * reduce},
                  {"launch_skew", std::max(0.0, times.kernel_seconds - busy)}};
  return times;
}

absl::StatusOr<PhaseTimes> MeasureFusedPhases(CudaDevice& device, const FusedProblem& problem,
                                              const void* packed, const void* table, const void* u,
                                              void* z) {
  const FusedConfig config = ChooseFusedConfig(problem, device.multiprocessors());
  std::vector<PhaseRecord> blocks(config.grid);
  const size_t bytes = blocks.size() * sizeof(PhaseRecord);
  QTIPD_ASSIGN_OR_RETURN(const Buffer records, device.Allocate(bytes));
  QTIPD_RETURN_IF_ERROR(device.Fill(records.data(), 0, bytes));
  QTIPD_RETURN_IF_ERROR(device.Synchronize());  // the kernel must not overlap with anything
  QTIPD_RETURN_IF_ERROR(
      LaunchTracedFused(device, problem, packed, table, u, z, records.as<PhaseRecord>()));
  QTIPD_RETURN_IF_ERROR(device.CopyToHost(blocks.data(), records.data(), bytes));
  return SummarisePhases(blocks);
}

}  // namespace qtipd
