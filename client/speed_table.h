// The table of speeds: what a suite measured of its cases, benchmark by benchmark.
#ifndef QTIPD_CLIENT_SPEED_TABLE_H_
#define QTIPD_CLIENT_SPEED_TABLE_H_

#include <string>
#include <vector>

#include "client/output.h"
#include "client/suite.h"
#include "qtipd/v1/benchmark.pb.h"

namespace qtipd {

// What was measured of one case: a run with all its batches, as often as the suite repeats it.
struct SpeedResult {
  SpeedCase speed_case;
  std::vector<v1::Run> runs;
};

// One row a case and batch: the dense product, decode and multiply, the fused linear, the fused
// kernel by itself and a bare read of its weights. Each is the median over the runs of their
// medians; "spread" is (largest - smallest) / median of the kernel's. Where a kernel is not
// measured by itself, its step of the path stands for it.
Table SpeedTable(const std::vector<SpeedResult>& results);

// The same figures of every run by itself, in seconds: case, batch, run, and one column each.
Table SpeedRunsTable(const std::vector<SpeedResult>& results);

// One row a case that was measured at several batches: from which of them on decoding once and
// multiplying densely is faster than the fused path, or that it is at none.
Table CrossoverTable(const std::vector<SpeedResult>& results);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_SPEED_TABLE_H_
