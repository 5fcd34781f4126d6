#include "server/engine/harness/sampling.h"

#include <algorithm>
#include <cstdlib>

#include "server/engine/harness/sampling_modes.h"

namespace qtipd {
namespace {

constexpr const SamplingMode* kModes[] = {&kRotateSampling, &kColdSampling, &kHotSampling};

const SamplingMode& Find(CacheMode mode) {
  for (const SamplingMode* candidate : kModes) {
    if (candidate->mode == mode) return *candidate;
  }
  std::abort();  // a mode without its line in the table, which a test would have found
}

}  // namespace

std::vector<OperandPlace> PairPlaces(const SpreadBuffer& x, const SpreadBuffer& y) {
  std::vector<OperandPlace> places;
  for (int i = 0; i < std::max(x.places(), y.places()); ++i) {
    places.push_back({x.at(i % x.places()), y.at(i % y.places())});
  }
  return places;
}

CopyPlan PlanCopies(CacheMode mode, uint64_t weight_bytes, const DeviceInfo& device,
                    uint64_t free_bytes) {
  return Find(mode).plan_copies(weight_bytes, device, free_bytes);
}

absl::StatusOr<std::unique_ptr<Sampler>> MakeSampler(CacheMode mode, Device& device,
                                                     const StepRange& range) {
  return Find(mode).make_sampler(device, range);
}

bool IsBackToBack(CacheMode mode) { return Find(mode).is_back_to_back; }

}  // namespace qtipd
