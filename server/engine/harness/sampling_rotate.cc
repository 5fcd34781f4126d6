// `rotate`: copies of the weights take turns, so that the last-level cache never holds the next
// one.
#include <algorithm>

#include "kernels/api/device_ceiling.h"
#include "server/engine/harness/sampling_modes.h"

namespace qtipd {
namespace {

constexpr uint64_t kMinRotation = uint64_t{256} << 20;

CopyPlan PlanRotation(uint64_t weight_bytes, const DeviceInfo& device, uint64_t free_bytes) {
  CopyPlan plan;
  if (weight_bytes == 0) return plan;
  const uint64_t beyond_cache = 3 * device.last_level_cache_bytes + 1;
  const uint64_t least = device.is_synchronous ? kMinRotation : kColdBytesOnGpu;
  const uint64_t wanted = (std::max(beyond_cache, least) + weight_bytes - 1) / weight_bytes;
  const uint64_t affordable = std::max<uint64_t>(1, free_bytes / 2 / weight_bytes);
  plan.copies =
      static_cast<int>(std::min({wanted, affordable, static_cast<uint64_t>(kMostCopies)}));
  plan.exceeds_cache = static_cast<uint64_t>(plan.copies) * weight_bytes >= beyond_cache;
  return plan;
}

}  // namespace

const SamplingMode kRotateSampling = {
    .mode = CacheMode::kRotate, .plan_copies = PlanRotation, .make_sampler = MakeBackToBackSampler};

}  // namespace qtipd
