// The table of speeds: what a suite measured of its cases, benchmark by benchmark.
#ifndef QTIPD_CLIENT_SPEED_TABLE_H_
#define QTIPD_CLIENT_SPEED_TABLE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "client/output.h"
#include "client/suite.h"
#include "qtipd/v1/artifact.pb.h"
#include "qtipd/v1/benchmark.pb.h"

namespace qtipd {

// Shares of a device's peak while a path ran, from hardware counters, 0 to 1.
struct PeakShares {
  double compute = 0;
  double memory = 0;
};

// What was measured of one case: a run with all its batches, as often as the suite repeats it.
struct SpeedResult {
  SpeedCase speed_case;
  v1::Artifact artifact;
  std::vector<v1::Run> runs;
  // By path and batch; those that counters were read for.
  std::map<std::pair<std::string, int64_t>, PeakShares> shares;
  absl::Status status;       // why there is nothing, or not all, to see of it
  bool is_finished = false;  // measured as often as the suite says, or refused
};

// Medians over the runs of one case and batch, in seconds; what was not measured is absent.
struct Speeds {
  std::optional<double> dense, dequant, decode, multiply, fused, kernel, read;
};
Speeds MedianSpeeds(const SpeedResult& result, int64_t batch);

// Whether `fused` took the way of `dequant` in more than half of the runs that measured it.
bool IsHandedOver(const SpeedResult& result, int64_t batch);

// Whether the cases differ from each other or from the default in their activations: only then
// tables have a column for them.
bool HaveActivations(const std::vector<SpeedResult>& results);
// The dtype that the runs of a case had, or that was asked for.
std::string ActivationsOf(const SpeedResult& result);

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
