// Taking over one layer of a checkpoint as an artefact.
#ifndef QTIPD_SERVER_ENGINE_JOBS_IMPORT_JOB_H_
#define QTIPD_SERVER_ENGINE_JOBS_IMPORT_JOB_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/jobs/job_context.h"
#include "server/engine/types.h"

namespace qtipd {

// Checks all of a request that does not need the file's content.
absl::Status CheckImport(const ImportSpec& spec, const JobContext& context);

// Finds the layer, lets its format check it and stores it as it is. Needs no device. Returns the
// artefact's name. Errors: LAYER_AMBIGUOUS, LAYER_NOT_FOUND, the format's own, those of
// ArtifactStore::Save.
absl::StatusOr<std::string> RunImport(const ImportSpec& spec, const JobContext& context,
                                      Progress& progress);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_IMPORT_JOB_H_
