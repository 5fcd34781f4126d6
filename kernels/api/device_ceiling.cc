#include "kernels/api/device_ceiling.h"

#include <algorithm>

namespace qtipd {
namespace {

// On the straight line through `a` and `b`, not below 0.
double OnLine(const BandwidthPoint& a, const BandwidthPoint& b, double bytes) {
  const double slope = (b.seconds - a.seconds) / static_cast<double>(b.bytes - a.bytes);
  return std::max(0.0, a.seconds + slope * (bytes - static_cast<double>(a.bytes)));
}

double SecondsOn(const std::vector<BandwidthPoint>& curve, uint64_t bytes) {
  if (curve.empty()) return 0;
  const auto size = static_cast<double>(bytes);
  const BandwidthPoint& last = curve.back();
  if (curve.size() == 1 || bytes >= last.bytes) {
    return last.seconds * size / static_cast<double>(last.bytes);
  }
  // Below the first point, the line of the first two: what is left at 0 bytes is the launch.
  auto next = std::upper_bound(curve.begin() + 1, curve.end(), bytes,
                               [](uint64_t b, const BandwidthPoint& p) { return b < p.bytes; });
  return OnLine(*(next - 1), *next, size);
}

}  // namespace

double ReadSeconds(const DeviceCeiling& ceiling, uint64_t bytes) {
  return SecondsOn(ceiling.read, bytes);
}

double CachedReadSeconds(const DeviceCeiling& ceiling, uint64_t bytes) {
  return SecondsOn(ceiling.read_cached, bytes);
}

}  // namespace qtipd
