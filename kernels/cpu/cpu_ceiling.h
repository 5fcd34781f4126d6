// What the host's processor can do at best: bandwidth of memory by size, and its clock.
#ifndef QTIPD_KERNELS_CPU_CPU_CEILING_H_
#define QTIPD_KERNELS_CPU_CPU_CEILING_H_

#include <functional>

#include "kernels/cpu/cpu_device.h"

namespace qtipd {

// Device::MeasureCeiling on the CPU: streaming read and copy with all of the device's threads, from
// 1 MiB to 256 MiB, every pass over memory that was not touched for as long as the scratch buffer
// allows: three times the last-level cache, or a quarter of the free memory if that is less, which
// DeviceCeiling::problem then says. Cached reads go up to the size of that cache, all over the same
// memory. Every point is the best of up to three medians. launch_seconds stays 0, rates empty.
absl::StatusOr<DeviceCeiling> MeasureCpuCeiling(CpuDevice& device,
                                                const std::function<bool()>& is_cancelled);

// Cycles a second of the core that runs this: additions that each wait for the one before, one a
// cycle, against the monotonic clock. Takes about 10 milliseconds.
double MeasureCoreClockHertz();

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CPU_CPU_CEILING_H_
