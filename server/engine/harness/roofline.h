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
  CacheMode cache_mode = CacheMode::kRotate;
  uint64_t bytes_per_run = 0;
  OperationCounts operations;  // of one run
  double median_seconds = 0;
};

// The seconds that each known limit alone allows a run, and the largest of them: "bandwidth" (the
// read curve at that size; not where the cache is hot, whose bandwidth is another), "launch" (the
// kernels of a run, started as early as the device can), and every kind of operation that the
// ceiling has a rate for. Nothing where no limit is known or the median is not positive.
// Source: the roofline model (Williams, Waterman, Patterson, CACM 52(4), 2009).
std::optional<Roofline> ComputeRoofline(const DeviceCeiling& ceiling,
                                        const RooflineProblem& problem);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HARNESS_ROOFLINE_H_
