// The distortion table: relative squared errors of cells of a suite beside published ones.
#ifndef QTIPD_CLIENT_DISTORTION_H_
#define QTIPD_CLIENT_DISTORTION_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/output.h"
#include "client/suite.h"

namespace qtipd {

enum class DistortionVerdict { kBetter, kReproduced, kWorse, kNotMeasured };

// What was measured of one cell.
struct DistortionResult {
  DistortionCell cell;
  std::vector<double> errors;  // relative squared error of each matrix
  absl::Status status;         // why there are none
};

// Mean of the errors and its standard error, from their scatter.
double DistortionError(const DistortionResult& result);
double DistortionStandardError(const DistortionResult& result);

// Reproduced: within 1 % of the published value or two combined standard errors, whichever is
// larger. Where the published value has no standard error, that of our sample stands in for it:
// both have the same size.
DistortionVerdict JudgeDistortion(const DistortionResult& result);
std::string VerdictName(DistortionVerdict verdict);  // "reproduced"

// One row a cell: code and options, error, standard error, published, their ratio, verdict.
Table DistortionTable(const std::vector<DistortionResult>& results);

// kExitCheckFailed if any cell is worse, else kExitInconclusive if any was not measured.
int DistortionExitCode(const std::vector<DistortionResult>& results);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_DISTORTION_H_
