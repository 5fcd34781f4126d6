// The sampling modes that there are, and what several of them replay.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_SAMPLING_MODES_H_
#define QTIPD_SERVER_ENGINE_HARNESS_SAMPLING_MODES_H_

#include <memory>

#include "server/engine/harness/sampling.h"

namespace qtipd {

extern const SamplingMode kRotateSampling;
extern const SamplingMode kColdSampling;
extern const SamplingMode kHotSampling;

// One run of the range on weight copy `copy` and the operands at `place`, enqueued.
absl::Status EnqueueRun(const StepRange& range, int copy, size_t place = 0);

// Runs of a row that goes over `copies` weight copies: whole rotations, at least 16 runs.
inline constexpr int64_t kMinRunsPerReplay = 16;
int64_t RunsPerReplay(int64_t copies, int64_t least_runs = kMinRunsPerReplay);

// Replays without a gap over all copies of the path: one run a replay where the device is
// synchronous, else RunsPerReplay.
absl::StatusOr<std::unique_ptr<Sampler>> MakeBackToBackSampler(Device& device,
                                                               const StepRange& range);

// One weight copy, whatever the sizes.
CopyPlan PlanOneCopy(uint64_t weight_bytes, const DeviceInfo& device, uint64_t free_bytes);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_SAMPLING_MODES_H_
