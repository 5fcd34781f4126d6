#include "kernels/api/device_ceiling.h"

#include <algorithm>

namespace qtipd {
namespace {

// On the straight line through `a` and `b`.
double OnLine(const BandwidthPoint& a, const BandwidthPoint& b, double bytes) {
  const double slope = (b.seconds - a.seconds) / static_cast<double>(b.bytes - a.bytes);
  return a.seconds + slope * (bytes - static_cast<double>(a.bytes));
}

// At the highest bandwidth of the curve.
double LeastSeconds(const std::vector<BandwidthPoint>& curve, double bytes) {
  double best = 0;
  for (const BandwidthPoint& point : curve) {
    best = std::max(best, static_cast<double>(point.bytes) / point.seconds);
  }
  return bytes / best;
}

double SecondsOn(const std::vector<BandwidthPoint>& curve, uint64_t bytes) {
  if (curve.empty()) return 0;
  const auto size = static_cast<double>(bytes);
  const BandwidthPoint& last = curve.back();
  if (curve.size() == 1 || bytes >= last.bytes) {
    return last.seconds * size / static_cast<double>(last.bytes);
  }
  // Below the first point, the line of the first two: what is left at 0 bytes is the launch. Two
  // noisy points may tell less than the curve's bandwidth allows.
  auto next = std::upper_bound(curve.begin() + 1, curve.end(), bytes,
                               [](uint64_t b, const BandwidthPoint& p) { return b < p.bytes; });
  return std::max(OnLine(*(next - 1), *next, size), LeastSeconds(curve, size));
}

}  // namespace

double ReadSeconds(const DeviceCeiling& ceiling, uint64_t bytes) {
  return SecondsOn(ceiling.read, bytes);
}

double CachedReadSeconds(const DeviceCeiling& ceiling, uint64_t bytes) {
  return SecondsOn(ceiling.read_cached, bytes);
}

}  // namespace qtipd
