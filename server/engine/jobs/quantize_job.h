// Quantizing one matrix into an artefact.
#ifndef QTIPD_SERVER_ENGINE_JOBS_QUANTIZE_JOB_H_
#define QTIPD_SERVER_ENGINE_JOBS_QUANTIZE_JOB_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/device/device_executor.h"
#include "server/engine/jobs/job_context.h"
#include "server/engine/types.h"

namespace qtipd {

// Checks all of a request that needs neither a device nor a file's content: name, format, options,
// the one source, its shape and size if random, and its files' whereabouts.
absl::Status CheckQuantize(const QuantizeSpec& spec, const JobContext& context);

// Reads or draws W, quantizes it on the lease's device, measures its errors on the decoded artefact
// and stores it; the layer stays resident. Returns the artefact's name.
absl::StatusOr<std::string> RunQuantize(const QuantizeSpec& spec, const JobContext& context,
                                        DeviceLease& lease, Progress& progress);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_QUANTIZE_JOB_H_
