#include "server/engine/harness/roofline.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace qtipd {
namespace {

double LeastLaunchSeconds(const DeviceCeiling& ceiling) {
  return ceiling.overlapped_launch_seconds > 0
             ? std::min(ceiling.launch_seconds, ceiling.overlapped_launch_seconds)
             : ceiling.launch_seconds;
}

// The name of the memory that binds, and its seconds; 0 where no curve tells.
std::pair<std::string, double> MemoryLimit(const DeviceCeiling& ceiling,
                                           const RooflineProblem& problem) {
  const uint64_t cache = problem.last_level_cache_bytes;
  const uint64_t spilled = problem.scratch_bytes > cache ? problem.scratch_bytes - cache : 0;
  if (problem.is_cache_cold) {
    return {"bandwidth", ReadSeconds(ceiling, problem.bytes_per_run + 2 * spilled)};
  }
  // Whatever a cache keeps, run after run misses what is beyond its size.
  const uint64_t touched = problem.bytes_per_run + problem.scratch_bytes;
  if (touched > cache) {
    return {"bandwidth", ReadSeconds(ceiling, std::max(touched - cache, 2 * spilled))};
  }
  const uint64_t moved = problem.bytes_per_run + 2 * problem.scratch_bytes;
  return {"cache_bandwidth", CachedReadSeconds(ceiling, moved)};
}

// Rates are cycles of the compute units: they follow the clock.
double RateScale(const DeviceCeiling& ceiling, const RooflineProblem& problem) {
  const bool are_known = ceiling.clock_hertz > 0 && problem.clock_hertz > 0;
  return are_known ? problem.clock_hertz / ceiling.clock_hertz : 1;
}

std::map<std::string, double> Limits(const DeviceCeiling& ceiling, const RooflineProblem& problem) {
  std::map<std::string, double> limits;
  const auto add = [&](const std::string& name, double seconds) {
    if (seconds > 0) limits[name] = seconds;
  };
  const auto [memory, seconds] = MemoryLimit(ceiling, problem);
  add(memory, seconds);
  const double scale = RateScale(ceiling, problem);
  for (const auto& [kind, amount] : problem.operations) {
    if (kind == "launch") add(kind, amount * LeastLaunchSeconds(ceiling));
    const auto rate = ceiling.rates.find(kind);
    if (rate != ceiling.rates.end() && rate->second > 0) add(kind, amount / (scale * rate->second));
  }
  return limits;
}

}  // namespace

std::optional<Roofline> ComputeRoofline(const DeviceCeiling& ceiling,
                                        const RooflineProblem& problem) {
  Roofline roofline;
  roofline.limit_seconds = Limits(ceiling, problem);
  if (roofline.limit_seconds.empty() || problem.median_seconds <= 0) return std::nullopt;
  const auto binding =
      std::max_element(roofline.limit_seconds.begin(), roofline.limit_seconds.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  roofline.limit = binding->first;
  roofline.seconds = binding->second;
  roofline.fraction = roofline.seconds / problem.median_seconds;
  return roofline;
}

}  // namespace qtipd
