#include <algorithm>
#include <utility>

#include "kernels/api/status.h"
#include "server/engine/harness/sampling_modes.h"

namespace qtipd {
namespace {

// One recording of a call that takes the next copy at every replay.
class SingleRunSampler final : public Sampler {
 public:
  explicit SingleRunSampler(const StepRange& range) : range_(range) {}

  static absl::StatusOr<std::unique_ptr<Sampler>> Make(Device& device, const StepRange& range) {
    auto sampler = std::make_unique<SingleRunSampler>(range);
    QTIPD_ASSIGN_OR_RETURN(sampler->recording_, device.Record([self = sampler.get()] {
      return EnqueueRun(self->range_, self->copy_);
    }));
    return sampler;
  }
  absl::StatusOr<ReplayTiming> Sample() override {
    copy_ = (copy_ + 1) % range_.path->copies();
    return recording_->Replay();
  }
  int64_t runs_per_sample() const override { return 1; }

 private:
  const StepRange range_;
  std::unique_ptr<Recording> recording_;
  int copy_ = 0;
};

// One recording of whole rotations.
class RotationSampler final : public Sampler {
 public:
  RotationSampler(std::unique_ptr<Recording> recording, int64_t runs)
      : recording_(std::move(recording)), runs_(runs) {}

  static absl::StatusOr<std::unique_ptr<Sampler>> Make(Device& device, const StepRange& range,
                                                       int64_t least_runs) {
    const int64_t copies = range.path->copies();
    const int64_t runs = RunsPerReplay(copies, least_runs);
    const auto places = static_cast<int64_t>(range.places.size());
    QTIPD_ASSIGN_OR_RETURN(auto recording, device.Record([range, copies, places, runs] {
      for (int64_t run = 0; run < runs; ++run) {
        // Runs in a row at one place: all but the first find x in the cache, as after a layer.
        const int64_t place = run * places / runs;
        QTIPD_RETURN_IF_ERROR(EnqueueRun(range, static_cast<int>(run % copies), place));
      }
      return absl::OkStatus();
    }));
    return std::make_unique<RotationSampler>(std::move(recording), runs);
  }
  absl::StatusOr<ReplayTiming> Sample() override {
    QTIPD_ASSIGN_OR_RETURN(ReplayTiming timing, recording_->Replay());
    timing.seconds /= static_cast<double>(runs_);
    return timing;
  }
  int64_t runs_per_sample() const override { return runs_; }

 private:
  std::unique_ptr<Recording> recording_;
  const int64_t runs_;
};

}  // namespace

absl::Status EnqueueRun(const StepRange& range, int copy, size_t place) {
  const auto& [x, y] = range.places[place];
  return range.path->Run(copy, x, y, range.first_step, range.end_step);
}

int64_t RunsPerReplay(int64_t copies, int64_t least_runs) {
  return (least_runs + copies - 1) / copies * copies;
}

absl::StatusOr<std::unique_ptr<Sampler>> MakeBackToBackSampler(Device& device,
                                                               const StepRange& range) {
  return device.info().is_synchronous ? SingleRunSampler::Make(device, range)
                                      : RotationSampler::Make(device, range, kMinRunsPerReplay);
}

absl::StatusOr<std::unique_ptr<Sampler>> MakeLongSampler(Device& device, const StepRange& range,
                                                         int64_t least_runs) {
  if (device.info().is_synchronous) return SingleRunSampler::Make(device, range);
  return RotationSampler::Make(device, range,
                               std::clamp(least_runs, kMinRunsPerReplay, kMostRunsPerReplay));
}

CopyPlan PlanOneCopy(uint64_t, const DeviceInfo&, uint64_t) { return {}; }

}  // namespace qtipd
