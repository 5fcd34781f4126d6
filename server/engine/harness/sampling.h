// How runs touch memory: over how many weight copies a measurement rotates, and what one sample is.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_SAMPLING_H_
#define QTIPD_SERVER_ENGINE_HARNESS_SAMPLING_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/device.h"
#include "kernels/api/inference_path.h"
#include "server/engine/types.h"

namespace qtipd {

struct CopyPlan {
  int copies = 1;
  // `rotate` only: the copies together exceed three times the last-level cache, so that every run
  // reads its weights from memory. False where free memory or kMostCopies forbade it.
  bool exceeds_cache = false;
};

inline constexpr int kMostCopies = 2048;

// Chooses the copies for a path that reads `weight_bytes` per run. `hot` is one copy. `rotate`
// takes as many as exceed 3x the last-level cache and 256 MiB (320 MiB on a GPU, whose L2 keeps
// lines that a plain LRU would not), within half of `free_bytes`.
CopyPlan PlanCopies(CacheMode mode, uint64_t weight_bytes, const DeviceInfo& device,
                    uint64_t free_bytes);

// Steps [first_step, end_step) of a prepared path with its input and output.
struct StepRange {
  PreparedPath* path = nullptr;
  const void* x = nullptr;
  void* y = nullptr;
  int first_step = 0;
  int end_step = 0;
};

// Gives one sample at a time: the device's seconds for one run of a StepRange, and its clock. Lives on the
// device's thread; the path, x and y outlive it.
class Sampler {
 public:
  virtual ~Sampler() = default;
  virtual absl::StatusOr<ReplayTiming> Sample() = 0;
  // Runs whose mean one sample is.
  virtual int64_t runs_per_sample() const = 0;
};

// On a synchronous device a sample is one run on the next copy. On another, where a replay has to
// be long against the clock's resolution and launches must not be seen, a sample is the mean over
// one replay of whole rotations, at least 16 runs.
absl::StatusOr<std::unique_ptr<Sampler>> MakeSampler(Device& device, const StepRange& range);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_SAMPLING_H_
