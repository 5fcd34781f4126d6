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

std::map<std::string, double> Limits(const DeviceCeiling& ceiling, const RooflineProblem& problem) {
  std::map<std::string, double> limits;
  const auto add = [&](const std::string& name, double seconds) {
    if (seconds > 0) limits[name] = seconds;
  };
  if (problem.cache_mode != CacheMode::kHot) {
    add("bandwidth", ReadSeconds(ceiling, problem.bytes_per_run));
  }
  for (const auto& [kind, amount] : problem.operations) {
    if (kind == "launch") add(kind, amount * LeastLaunchSeconds(ceiling));
    const auto rate = ceiling.rates.find(kind);
    if (rate != ceiling.rates.end() && rate->second > 0) add(kind, amount / rate->second);
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
