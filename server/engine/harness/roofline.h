// How near a run comes to what its device can do.
#ifndef QTIPD_SERVER_ENGINE_HARNESS_ROOFLINE_H_
#define QTIPD_SERVER_ENGINE_HARNESS_ROOFLINE_H_

#include <cstdint>
#include <optional>

#include "kernels/api/device_ceiling.h"
#include "kernels/api/weight_format.h"
#include "server/engine/types.h"

namespace qtipd {

struct RooflineProblem {
  // Every run finds the last-level cache without its weights: they come from memory.
  bool is_cache_cold = true;
  uint64_t bytes_per_run = 0;
  uint64_t scratch_bytes = 0;  // PreparedPath
  uint64_t last_level_cache_bytes = 0;
  OperationCounts operations;  // of one run
  double median_seconds = 0;
  double clock_hertz = 0;  // of the run; 0 where it is not known
};

// The seconds that each known limit alone allows a run, and the largest of them:
//   "bandwidth"        the read curve at the bytes of a run, where the cache is cold, else at those
//                      beyond its size; with what it cannot hold of scratch memory, both ways
//   "cache_bandwidth"  the curve of cached reads, where everything may be in the cache and fits
//   "launch"           the kernels of a run, started as early as the device can
//   and every kind of operation that the ceiling has a rate for, at the run's own clock where both
//   are known
// Nothing where no limit is known or the median is not positive.
// Source: the roofline model (Williams, Waterman, Patterson, CACM 52(4), 2009).
std::optional<Roofline> ComputeRoofline(const DeviceCeiling& ceiling,
                                        const RooflineProblem& problem);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_ROOFLINE_H_
