// `cold`: one copy and one run a sample; before each, the caches are flushed.
#include <utility>

#include "kernels/api/status.h"
#include "server/engine/harness/sampling_modes.h"

namespace qtipd {
namespace {

class ColdSampler final : public Sampler {
 public:
  ColdSampler(Device& device, std::unique_ptr<Recording> recording)
      : device_(device), recording_(std::move(recording)) {}
  absl::StatusOr<ReplayTiming> Sample() override {
    // Outside the recording: it precedes the replay in the queue and is not part of its time.
    QTIPD_RETURN_IF_ERROR(device_.FlushCaches());
    return recording_->Replay();
  }
  int64_t runs_per_sample() const override { return 1; }

 private:
  Device& device_;
  std::unique_ptr<Recording> recording_;
};

absl::StatusOr<std::unique_ptr<Sampler>> MakeColdSampler(Device& device, const StepRange& range) {
  QTIPD_ASSIGN_OR_RETURN(auto recording, device.Record([range] { return EnqueueRun(range, 0); }));
  return std::make_unique<ColdSampler>(device, std::move(recording));
}

}  // namespace

const SamplingMode kColdSampling = {.mode = CacheMode::kCold,
                                    .plan_copies = PlanOneCopy,
                                    .make_sampler = MakeColdSampler,
                                    .is_back_to_back = false};

}  // namespace qtipd
