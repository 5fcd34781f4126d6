// How runs touch memory: over how many weight copies a measurement goes, and what one sample is.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_SAMPLING_H_
#define QTIPD_SERVER_ENGINE_HARNESS_SAMPLING_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/device.h"
#include "kernels/api/inference_path.h"
#include "kernels/api/spread_buffer.h"
#include "server/engine/types.h"

namespace qtipd {

struct CopyPlan {
  int copies = 1;
  // `rotate` only: the copies together exceed three times the last-level cache, so that every run
  // reads its weights from memory. False where free memory or kMostCopies forbade it.
  bool exceeds_cache = false;
};

inline constexpr int kMostCopies = 2048;

// Where the input and the output of a run lie.
struct OperandPlace {
  const void* x = nullptr;
  void* y = nullptr;
};

// Pairs the places of x and y, each of which is one of them at least once.
std::vector<OperandPlace> PairPlaces(const SpreadBuffer& x, const SpreadBuffer& y);

// Steps [first_step, end_step) of a prepared path with its operands, which are the same at every
// place; never without one.
struct StepRange {
  PreparedPath* path = nullptr;
  std::vector<OperandPlace> places = {{}};
  int first_step = 0;
  int end_step = 0;
};

// Gives one sample at a time: the device's seconds for one run of a StepRange, and its clock. Lives
// on the device's thread; the path and operands outlive it.
class Sampler {
 public:
  virtual ~Sampler() = default;
  virtual absl::StatusOr<ReplayTiming> Sample() = 0;
  // Runs whose mean one sample is.
  virtual int64_t runs_per_sample() const = 0;
};

// A way to take samples: one file sampling_<name>.cc and one line of the table in sampling.cc.
struct SamplingMode {
  CacheMode mode;
  // The copies of a path that reads `weight_bytes` per run, where `free_bytes` of memory are free.
  CopyPlan (*plan_copies)(uint64_t weight_bytes, const DeviceInfo& device, uint64_t free_bytes);
  absl::StatusOr<std::unique_ptr<Sampler>> (*make_sampler)(Device& device, const StepRange& range);
  // Nothing but runs between two samples: the device never idles, and a step that is replayed on
  // its own after the one before it meets the caches as in a whole run.
  bool is_back_to_back = true;
};

// `rotate`: as many copies as exceed 3x the last-level cache and 256 MiB (320 MiB on a GPU, whose
// L2 keeps lines that a plain LRU would not), within half of the free memory; `cold`, `hot`: one.
CopyPlan PlanCopies(CacheMode mode, uint64_t weight_bytes, const DeviceInfo& device,
                    uint64_t free_bytes);

// `rotate` and `hot`: on a synchronous device a sample is one run on the next copy. On another,
// where a replay has to be long against the clock's resolution and launches must not be seen, a
// sample is the mean over one replay of whole rotations, at least 16 runs, over all places of the
// operands. `cold`: a sample is one run at the first place, with the caches flushed before it.
absl::StatusOr<std::unique_ptr<Sampler>> MakeSampler(CacheMode mode, Device& device,
                                                     const StepRange& range);

bool IsBackToBack(CacheMode mode);

// As `rotate` and `hot`, but of a device that is not synchronous every replay has at least
// `least_runs` runs, as far as kMostRunsPerReplay allows: so much work that the gap before the next
// replay counts for nothing.
absl::StatusOr<std::unique_ptr<Sampler>> MakeLongSampler(Device& device, const StepRange& range,
                                                         int64_t least_runs);

inline constexpr int64_t kMostRunsPerReplay = 4096;

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_SAMPLING_H_
