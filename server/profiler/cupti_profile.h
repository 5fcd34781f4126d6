// One profile on a CUDA device, from the request to its figures.
#ifndef QTIPD_SERVER_PROFILER_CUPTI_PROFILE_H_
#define QTIPD_SERVER_PROFILER_CUPTI_PROFILE_H_

#include <functional>

#include "absl/status/statusor.h"
#include "server/profiler/cupti_api.h"
#include "server/profiler/driver_api.h"
#include "server/profiler/profile_protocol.h"
#include "server/profiler/range_profiler.h"

namespace qtipd {

// Loads the work and runs it once, so that nothing is loaded lazily within a range. Called once.
using Prepare = std::function<absl::StatusOr<Replay>()>;

// Replays under PC sampling if the task wants it, then under the counters that its preset and
// metrics name. `prepare` is called when sampling is on already: CUPTI knows the instructions of
// such kernels alone as were loaded since. Where sampling fails but counters were asked for too,
// the note "instructions_error" says why, and they are counted. Hot instructions have the linker's
// names and no text. Errors: METRIC_UNKNOWN if the chip has none of what was asked; those of
// CuptiStatus; those of `prepare` and of the replay.
absl::StatusOr<ProfileData> ProfileWithCupti(const CuptiApi& api, const DriverDevice& device,
                                             const ProfileTask& task, const Prepare& prepare);

// The catalogue of `chip`, which the task names or its device has, with the passes that the task's
// preset and metrics would take.
absl::StatusOr<MetricCatalogue> ReadCuptiCatalogue(const CuptiApi& api, const std::string& chip,
                                                   const CatalogueTask& task);

}  // namespace qtipd

#endif  // QTIPD_SERVER_PROFILER_CUPTI_PROFILE_H_
