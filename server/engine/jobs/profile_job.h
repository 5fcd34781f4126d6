// Profiling a path of an artefact.
#ifndef QTIPD_SERVER_ENGINE_JOBS_PROFILE_JOB_H_
#define QTIPD_SERVER_ENGINE_JOBS_PROFILE_JOB_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/device/device_executor.h"
#include "server/engine/jobs/job_context.h"
#include "server/engine/profile/profile_collector.h"
#include "server/engine/profile/profile_types.h"

namespace qtipd {

// Errors: ARTIFACT_NOT_FOUND, PATH_UNKNOWN, BATCH_INVALID, PRESET_UNKNOWN, METRICS_MISSING,
// TOO_MANY_METRICS, METRIC_INVALID.
absl::Status CheckProfile(const ProfileSpec& spec, const JobContext& context);

// Lets the collector replay the path in its own process while this one keeps the device's lease, so
// that nothing else runs there, and stores what it counted. Returns the profile's id. Nothing of it
// reaches a run: profiled kernels are slower.
absl::StatusOr<std::string> RunProfile(const ProfileSpec& spec, const JobContext& context,
                                       ProfileCollector& collector, DeviceLease& lease,
                                       Progress& progress);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_PROFILE_JOB_H_
