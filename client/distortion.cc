#include "client/distortion.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "client/rpc_status.h"
#include "client/units.h"

namespace qtipd {
namespace {

constexpr double kRelativeTolerance = 0.01;
constexpr double kStandardErrors = 2;

Cell Number(double value, int significant) {
  return Cell(FormatNumber(value, significant), ExactNumber(value));
}

}  // namespace

double DistortionError(const DistortionResult& result) {
  const double sum = std::accumulate(result.errors.begin(), result.errors.end(), 0.0);
  return sum / static_cast<double>(result.errors.size());
}

double DistortionStandardError(const DistortionResult& result) {
  const auto count = static_cast<double>(result.errors.size());
  if (count < 2) return 0;
  const double mean = DistortionError(result);
  double squares = 0;
  for (double error : result.errors) squares += (error - mean) * (error - mean);
  return std::sqrt(squares / (count - 1) / count);
}

DistortionVerdict JudgeDistortion(const DistortionResult& result) {
  if (result.errors.empty()) return DistortionVerdict::kNotMeasured;
  const double published = result.cell.published;
  const double ours = DistortionStandardError(result);
  const double theirs = result.cell.published_error.value_or(ours);
  const double tolerance =
      std::max(kRelativeTolerance * published, kStandardErrors * std::hypot(ours, theirs));
  const double excess = DistortionError(result) - published;
  if (excess > tolerance) return DistortionVerdict::kWorse;
  return excess < -tolerance ? DistortionVerdict::kBetter : DistortionVerdict::kReproduced;
}

std::string VerdictName(DistortionVerdict verdict) {
  switch (verdict) {
    case DistortionVerdict::kBetter:
      return "better";
    case DistortionVerdict::kReproduced:
      return "reproduced";
    case DistortionVerdict::kWorse:
      return "worse";
    case DistortionVerdict::kNotMeasured:
      return "not measured";
  }
  return "";
}

Table DistortionTable(const std::vector<DistortionResult>& results) {
  Table table({{"cell", "cell"},
               {"relative MSE", "relative_mse", Align::kRight},
               {"+-", "standard_error", Align::kRight},
               {"published", "published", Align::kRight},
               {"+-", "published_standard_error", Align::kRight},
               {"ratio", "ratio", Align::kRight},
               {"verdict", "verdict"}});
  for (const DistortionResult& result : results) {
    const bool is_measured = !result.errors.empty();
    const double error = is_measured ? DistortionError(result) : 0;
    const auto& theirs = result.cell.published_error;
    table.AddRow({OptionsText(result.cell.options), is_measured ? Number(error, 4) : Absent(),
                  is_measured ? Number(DistortionStandardError(result), 2) : Absent(),
                  Number(result.cell.published, 4), theirs ? Number(*theirs, 2) : Absent(),
                  is_measured ? Number(error / result.cell.published, 4) : Absent(),
                  VerdictName(JudgeDistortion(result))});
  }
  return table;
}

int DistortionExitCode(const std::vector<DistortionResult>& results) {
  int exit_code = kExitDone;
  for (const DistortionResult& result : results) {
    const DistortionVerdict verdict = JudgeDistortion(result);
    if (verdict == DistortionVerdict::kWorse) return kExitCheckFailed;
    if (verdict == DistortionVerdict::kNotMeasured) exit_code = kExitInconclusive;
  }
  return exit_code;
}

}  // namespace qtipd
