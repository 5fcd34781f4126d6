// What qtip-profiler does with one request.
#ifndef QTIPD_SERVER_PROFILER_PROGRAM_RUN_REQUEST_H_
#define QTIPD_SERVER_PROFILER_PROGRAM_RUN_REQUEST_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/profiler/profile_protocol.h"

namespace qtipd {

// Errors: NO_DEVICE, CUPTI_NOT_FOUND, PROFILING_NOT_PERMITTED, PROFILER_BUSY, ... docs/errors.md
// has them all.
absl::StatusOr<ProfileData> RunProfileTask(const ProfileTask& task);
absl::StatusOr<MetricCatalogue> RunCatalogueTask(const CatalogueTask& task);

// The answer to a request's text, as text; a refusal is an answer too.
std::string AnswerRequest(const std::string& json);

}  // namespace qtipd

#endif  // QTIPD_SERVER_PROFILER_PROGRAM_RUN_REQUEST_H_
