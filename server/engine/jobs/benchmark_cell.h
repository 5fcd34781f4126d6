// One cell of a benchmark: a path at a batch size.
#ifndef QTIPD_SERVER_ENGINE_JOBS_BENCHMARK_CELL_H_
#define QTIPD_SERVER_ENGINE_JOBS_BENCHMARK_CELL_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/api/inference_path.h"
#include "server/base/clock.h"
#include "server/engine/device/device_executor.h"
#include "server/engine/harness/correctness.h"
#include "server/engine/types.h"

namespace qtipd {

struct CellProblem {
  const BenchmarkSpec& spec;
  const InferencePath& path;
  int64_t batch = 1;
  ResidentWeights& resident;
  const ReferenceCase& reference;          // of at least `batch` rows
  double default_clock_hertz = 0;          // of the device under load; 0 where it does not tell
  const DeviceCeiling* ceiling = nullptr;  // of the device; null: the result has no roofline
};

// Prepares the path, warms it up, measures it while watching the device, checks the output of the
// timed replays and breaks the time down; fills `result` as far as it got. What fails beside the
// latency (replay_overhead, energy, steps, phases, ceiling) is missing, and a note <name>_error
// says why. Errors: Cancelled; what the path or the device cannot do; Internal/RESULT_INCORRECT if
// the output is further from the reference than the bound, with every figure filled in.
absl::Status MeasureCell(const CellProblem& problem, DeviceLease& lease, Clock& clock,
                         Progress& progress, BenchmarkResult& result);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_BENCHMARK_CELL_H_
