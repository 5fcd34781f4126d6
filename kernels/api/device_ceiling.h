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
  uint64_t bytes = 0;    // read, or read plus written
  double seconds = 0;    // of one pass, launch included
};

struct DeviceCeiling {
  std::vector<BandwidthPoint> read;  // streaming read, by ascending size
  std::vector<BandwidthPoint> copy;
  double launch_seconds = 0;  // each further empty node of a recording; 0 where calls are direct
  double replay_seconds = 0;  // what the replay of an empty recording measures
  double clock_hertz = 0;     // while the rates below were measured
  // Operations per second of the whole device by kind. Kinds are shared with
  // PreparedPath::operations(): "issue" (instructions of a warp, or of a core), "shared_memory"
  // (wavefronts of a load from shared memory).
  std::map<std::string, double> rates;
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_DEVICE_CEILING_H_
