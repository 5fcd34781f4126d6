// Benchmarking an artefact's inference paths.
#ifndef QTIPD_SERVER_ENGINE_JOBS_BENCHMARK_JOB_H_
#define QTIPD_SERVER_ENGINE_JOBS_BENCHMARK_JOB_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/device/device_executor.h"
#include "server/engine/jobs/job_context.h"
#include "server/engine/types.h"

namespace qtipd {

// Errors: ARTIFACT_NOT_FOUND, PATH_UNKNOWN, PATHS_MISSING, BATCH_INVALID, STOPPING_RULE_INVALID.
absl::Status CheckBenchmark(const BenchmarkSpec& spec, const JobContext& context);

// Measures every path at every batch size, checks each output against double precision, and stores
// the run. Returns the run's id. A cell that cannot be measured has its own status in the result;
// if none could, the job fails with the first one's. Errors besides: those of
// DeviceMonitor::LockClocks where the spec asks for it.
absl::StatusOr<std::string> RunBenchmark(const BenchmarkSpec& spec, const JobContext& context,
                                         DeviceLease& lease, Progress& progress);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_BENCHMARK_JOB_H_
