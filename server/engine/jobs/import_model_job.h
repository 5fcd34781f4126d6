// Taking over a whole model, one artefact a linear.
#ifndef QTIPD_SERVER_ENGINE_JOBS_IMPORT_MODEL_JOB_H_
#define QTIPD_SERVER_ENGINE_JOBS_IMPORT_MODEL_JOB_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/jobs/job_context.h"
#include "server/engine/types.h"

namespace qtipd {

// Whether the request is about a model: it brings a config, or its server path is a directory.
absl::StatusOr<bool> IsModelImport(const ImportSpec& spec, const JobContext& context);

// Checks all of such a request that does not need the files' content.
absl::Status CheckModelImport(const ImportSpec& spec, const JobContext& context);

// Checks the config against every tensor's dtype and shape, then imports linear by linear, each
// written before the next is read, and names them all at the end: after an error or a cancellation
// there is no artefact. With a prefix, only the linears below it. Returns the model's name.
// Errors: those of ReadCheckpointDirectory, of WeightFormat::PlanModel and Import with the tensor's
// full name, of ArtifactStore::CheckNewName; MODEL_CONFIG_INVALID where no format knows the config;
// LAYER_NOT_FOUND.
absl::StatusOr<std::string> RunModelImport(const ImportSpec& spec, const JobContext& context,
                                           Progress& progress);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_IMPORT_MODEL_JOB_H_
