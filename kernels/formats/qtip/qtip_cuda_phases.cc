#include "kernels/formats/qtip/qtip_cuda_phases.h"

#include <algorithm>
#include <utility>
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

namespace {

class FusedPhaseTracer final : public PhaseTracer {
 public:
  FusedPhaseTracer(CudaDevice& device, const FusedConfig& config, LaunchFusedCopy launch,
                   Buffer records)
      : device_(device),
        config_(config),
        launch_(std::move(launch)),
        records_(std::move(records)) {}

  absl::Status Enqueue(Build build, int slot, int copy) override {
    PhaseRecord* records = records_.as<PhaseRecord>() + int64_t{slot} * config_.grid;
    if (build == Build::kHollow) return LaunchHollow(device_, config_, records);
    return launch_(copy, build == Build::kTraced ? records : nullptr);
  }

  absl::StatusOr<std::vector<PhaseTimes>> Read() override {
    std::vector<PhaseRecord> blocks(records_.bytes() / sizeof(PhaseRecord));
    QTIPD_RETURN_IF_ERROR(device_.CopyToHost(blocks.data(), records_.data(), records_.bytes()));
    std::vector<PhaseTimes> times;
    for (auto slot = blocks.begin(); slot != blocks.end(); slot += config_.grid) {
      times.push_back(SummarisePhases({slot, slot + config_.grid}));
    }
    return times;
  }

 private:
  CudaDevice& device_;
  const FusedConfig config_;
  const LaunchFusedCopy launch_;
  const Buffer records_;  // one a block, slot after slot
};

}  // namespace

absl::StatusOr<std::unique_ptr<PhaseTracer>> PrepareFusedPhases(CudaDevice& device,
                                                                const FusedProblem& problem,
                                                                int slots, LaunchFusedCopy launch) {
  const FusedConfig config = ChooseFusedConfig(problem, device.limits());
  const size_t bytes = sizeof(PhaseRecord) * static_cast<size_t>(config.grid) * slots;
  QTIPD_ASSIGN_OR_RETURN(Buffer records, device.Allocate(bytes));
  QTIPD_RETURN_IF_ERROR(device.Fill(records.data(), 0, bytes));
  return std::make_unique<FusedPhaseTracer>(device, config, std::move(launch), std::move(records));
}

}  // namespace qtipd
