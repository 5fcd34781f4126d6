// One profile on the CPU, from the request to its figures.
#ifndef QTIPD_SERVER_PROFILER_PERF_PROFILE_H_
#define QTIPD_SERVER_PROFILER_PERF_PROFILE_H_

#include "absl/status/statusor.h"
#include "server/profiler/perf_events.h"
#include "server/profiler/profile_protocol.h"
#include "server/profiler/range_profiler.h"

namespace qtipd {

// Counts what the task's preset and metrics name over one replay, all threads of this process. No
// instructions are sampled: samples_program_counters is noted and no more.
// Errors: PermissionDenied/PERF_EVENT_NOT_PERMITTED, Unimplemented/PERF_EVENT_UNSUPPORTED if no
// counter of the processor can be opened; METRIC_UNKNOWN, PRESET_UNKNOWN; the replay's own.
absl::StatusOr<ProfileData> ProfileWithPerfEvents(const PerfApi& api, const ProfileTask& task,
                                                  const Replay& replay);

absl::StatusOr<MetricCatalogue> ReadPerfCatalogue(const PerfApi& api, const CatalogueTask& task);

}  // namespace qtipd

#endif  // QTIPD_SERVER_PROFILER_PERF_PROFILE_H_
