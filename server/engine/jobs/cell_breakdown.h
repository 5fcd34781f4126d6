// What is measured of a case beside its latency: energy, steps, phases, its share of the ceiling.
#ifndef QTIPD_SERVER_ENGINE_JOBS_CELL_BREAKDOWN_H_
#define QTIPD_SERVER_ENGINE_JOBS_CELL_BREAKDOWN_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "kernels/api/inference_path.h"
#include "server/base/clock.h"
#include "server/engine/harness/sampling.h"
#include "server/engine/jobs/benchmark_cell.h"
#include "server/engine/types.h"

namespace qtipd {

// What the parts of a cell's measurement share.
struct CellRun {
  const CellProblem& problem;
  DeviceLease& lease;
  Clock& clock;
  std::function<bool()> is_cancelled;
  std::function<void(double)> report;  // gets the share of the samples
  BenchmarkResult& result;
};

// What a measurement beside the latency came to: a failure of it is noted as `<name>_error`, and
// costs no more than its own figures unless the run ends with it.
absl::Status Beside(const std::string& name, const absl::Status& status, BenchmarkResult& result);

// Fills roofline and packed_read_seconds, where the device has a ceiling. `is_cache_cold`: every
// run finds its weights in no cache.
void CompareWithCeiling(const CellRun& run, const PreparedPath& path, bool is_cache_cold);

// Fills energy, steps and phases, once the latency is known; overwrites the output of `whole`.
// Errors: Cancelled, DEVICE_LOST.
absl::Status MeasureBreakdowns(const CellRun& run, const StepRange& whole);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_CELL_BREAKDOWN_H_
