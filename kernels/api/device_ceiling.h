// What a device can do at best, measured on that device.
#ifndef QTIPD_KERNELS_API_DEVICE_CEILING_H_
#define QTIPD_KERNELS_API_DEVICE_CEILING_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace qtipd {

// One size of a bandwidth curve, last-level cache cold.
struct BandwidthPoint {
  uint64_t bytes = 0;  // read, or read plus written
  double seconds = 0;  // of one pass in a row of many, its launch included
};

// What runs together read before the first of them comes again, at least, so that a GPU's cache
// holds none of it: Hopper's L2 keeps lines that a plain LRU of its size would have lost.
inline constexpr uint64_t kColdBytesOnGpu = uint64_t{320} << 20;

struct DeviceCeiling {
  std::vector<BandwidthPoint> read;  // streaming read, by ascending size
  std::vector<BandwidthPoint> copy;
  // The same bytes read again and again, at sizes that the last-level cache holds.
  std::vector<BandwidthPoint> read_cached;
  // Each further empty kernel of a recording: one after the other, and where each lets the next
  // one start early (programmatic dependent launch). 0 where calls are direct, or cannot overlap.
  double launch_seconds = 0;
  double overlapped_launch_seconds = 0;
  double replay_seconds = 0;  // what the replay of an empty recording measures
  double clock_hertz = 0;     // while the rates below were measured
  // Operations per second of the whole device by kind. Kinds are shared with
  // PreparedPath::operations(): "issue" (instructions of a warp, or of a core), "shared_memory"
  // (wavefronts of a load from shared memory).
  std::map<std::string, double> rates;
  // Why the figures do not stand for the device: what failed, and then there are none, or what
  // disturbed it meanwhile. Empty where they do; never stored.
  std::string problem;
};

// Seconds that a read of `bytes` takes at best: on the curve `read`, straight between its points,
// at the last point's bandwidth beyond it. 0 where no curve was measured.
double ReadSeconds(const DeviceCeiling& ceiling, uint64_t bytes);

// The same on `read_cached`; whether the cache holds so much is the caller's to know.
double CachedReadSeconds(const DeviceCeiling& ceiling, uint64_t bytes);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_DEVICE_CEILING_H_
