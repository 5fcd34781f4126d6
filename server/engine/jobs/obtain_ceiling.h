// The ceiling of the device that a job runs on.
#ifndef QTIPD_SERVER_ENGINE_JOBS_OBTAIN_CEILING_H_
#define QTIPD_SERVER_ENGINE_JOBS_OBTAIN_CEILING_H_

#include <optional>

#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"
#include "server/engine/device/ceiling_store.h"
#include "server/engine/device/device_executor.h"

namespace qtipd {

// The stored ceiling, or one measured now and stored. Not stored, and DeviceCeiling::problem says
// why, where the device could not be measured (an empty ceiling: a benchmark goes on without a
// roofline), or where its monitor reported a slowdown or foreign work before or after: it then
// serves this run alone. Both are logged. Errors: Cancelled, DEVICE_LOST.
absl::StatusOr<std::optional<DeviceCeiling>> ObtainCeiling(DeviceLease& lease,
                                                           CeilingStore& ceilings,
                                                           const Progress& progress);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_OBTAIN_CEILING_H_
