// Bringing artefacts into device memory and out of it.
#ifndef QTIPD_SERVER_ENGINE_JOBS_LOAD_JOB_H_
#define QTIPD_SERVER_ENGINE_JOBS_LOAD_JOB_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/engine/device/device_executor.h"
#include "server/engine/jobs/job_context.h"
#include "server/engine/types.h"

namespace qtipd {

// An artefact in use by a job: on the host for the reference, on the device for the kernels.
struct LoadedArtifact {
  ArtifactRecord record;
  PackedLayer layer;
  ResidentWeights* resident = nullptr;  // owned by the lease's ResidentSet
};

// Reads the artefact and makes it resident if it is not; when memory is short, layers that nobody
// pinned make room first. Errors: ARTIFACT_NOT_FOUND, ARTIFACT_FILE_DAMAGED, FORMAT_NOT_ON_BACKEND,
// DEVICE_MEMORY_EXHAUSTED.
absl::StatusOr<LoadedArtifact> LoadArtifact(const std::string& name, bool is_pinned,
                                            const JobContext& context, DeviceLease& lease);

// Loads and pins. Returns the artefact's name.
absl::StatusOr<std::string> RunLoad(const LoadSpec& spec, const JobContext& context,
                                    DeviceLease& lease, Progress& progress);
// Frees it; one that is not resident is no error. Returns the artefact's name.
absl::StatusOr<std::string> RunUnload(const LoadSpec& spec, const JobContext& context,
                                      DeviceLease& lease, Progress& progress);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_LOAD_JOB_H_
