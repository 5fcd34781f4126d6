#include "client/comparison.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/run_view.h"
#include "client/units.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/base/comparability_key.h"

namespace qtipd {
namespace {

absl::Status CheckComparable(const CaseComparison& one) {
  const std::string& baseline = one.baseline->comparability_key();
  const std::string& candidate = one.candidate->comparability_key();
  const std::vector<std::string> differing = DifferingParts(baseline, candidate);
  if (differing.empty() && !baseline.empty()) return absl::OkStatus();
  const std::string got = differing.empty()
                              ? "none kept with the runs"
                              : candidate + " (differs in " + absl::StrJoin(differing, ", ") + ")";
  return FieldError(absl::StatusCode::kFailedPrecondition, "NOT_COMPARABLE",
                    absl::StrCat("comparability key of ", one.path, " batch=", one.batch), got,
                    baseline.empty() ? "a key" : baseline);
}

bool Overlap(const v1::Latency& a, const v1::Latency& b) {
  return a.ci_low() <= b.ci_high() && b.ci_low() <= a.ci_high();
}

Verdict Judge(const CaseComparison& one, double threshold) {
  if (one.candidate == nullptr) return Verdict::kFailed;
  if (one.baseline == nullptr) return Verdict::kInconclusive;
  const v1::Latency& baseline = one.baseline->latency();
  const v1::Latency& candidate = one.candidate->latency();
  if (!baseline.stable() || !candidate.stable()) return Verdict::kInconclusive;
  if (std::fabs(one.ratio - 1) <= threshold) return Verdict::kSame;
  if (Overlap(baseline, candidate)) return Verdict::kInconclusive;
  return one.ratio > 1 ? Verdict::kSlower : Verdict::kFaster;
}

double MedianOf(const v1::BenchmarkResult* result) {
  return result == nullptr ? 0 : result->latency().median();
}

Cell MedianCell(const v1::BenchmarkResult* result, const TimeUnit& unit) {
  if (result == nullptr) return Absent();
  return Cell(FormatNumber(MedianOf(result) / unit.seconds), ExactNumber(MedianOf(result)));
}

Cell WidthCell(const v1::BenchmarkResult* result) {
  if (result == nullptr) return Absent();
  const double width = RelativeHalfWidth(result->latency());
  return Cell(FormatPercent(width), ExactNumber(width));
}

Cell DifferenceCell(const CaseComparison& one) {
  if (one.baseline == nullptr || one.candidate == nullptr) return Absent();
  const double difference = one.ratio - 1;
  return Cell(absl::StrCat(difference > 0 ? "+" : "", FormatPercent(difference)),
              ExactNumber(difference));
}

// The cases that `run` measured and `cases` does not have yet.
void AddCases(const v1::Run& run, std::vector<CaseComparison>& cases) {
  for (const v1::BenchmarkResult& result : run.results()) {
    const bool is_known = std::any_of(cases.begin(), cases.end(), [&](const CaseComparison& one) {
      return one.path == result.path() && one.batch == result.batch();
    });
    if (result.has_error() || is_known) continue;
    cases.push_back({.path = result.path(), .batch = result.batch()});
  }
}

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSame:
      return "same";
    case Verdict::kFaster:
      return "faster";
    case Verdict::kSlower:
      return "slower";
    case Verdict::kFailed:
      return "failed";
    case Verdict::kInconclusive:
      return "inconclusive";
  }
  return "";
}

absl::StatusOr<std::vector<CaseComparison>> CompareRuns(const v1::Run& baseline,
                                                        const v1::Run& candidate,
                                                        double threshold) {
  std::vector<CaseComparison> cases;
  AddCases(baseline, cases);
  AddCases(candidate, cases);
  bool is_any_in_both = false;
  for (CaseComparison& one : cases) {
    one.baseline = FindMeasured(baseline, one.path, one.batch);
    one.candidate = FindMeasured(candidate, one.path, one.batch);
    if (one.baseline != nullptr && one.candidate != nullptr) {
      is_any_in_both = true;
      QTIPD_RETURN_IF_ERROR(CheckComparable(one));
      one.ratio = MedianOf(one.candidate) / MedianOf(one.baseline);
    }
    one.verdict = Judge(one, threshold);
  }
  if (is_any_in_both) return cases;
  return FieldError(absl::StatusCode::kFailedPrecondition, "NOT_COMPARABLE", "run",
                    candidate.id() + " and " + baseline.id() + " with no case in both",
                    "runs that measured the same path and batch");
}

Table ComparisonTable(const std::vector<CaseComparison>& cases) {
  double largest = 0;
  for (const CaseComparison& one : cases) {
    largest = std::max({largest, MedianOf(one.baseline), MedianOf(one.candidate)});
  }
  const TimeUnit unit = ChooseTimeUnit(largest);
  const std::string name(unit.name);
  Table table({{"path", "path"},
               {"batch", "batch", Align::kRight},
               {"cache", "cache_mode"},
               {"baseline " + name, "baseline_seconds", Align::kRight},
               {"±95 %", "baseline_half_width", Align::kRight},
               {"candidate " + name, "candidate_seconds", Align::kRight},
               {"±95 %", "candidate_half_width", Align::kRight},
               {"difference", "relative_difference", Align::kRight},
               {"verdict", "verdict"}});
  for (const CaseComparison& one : cases) {
    const v1::BenchmarkResult& any = one.candidate != nullptr ? *one.candidate : *one.baseline;
    table.AddRow({one.path, std::to_string(one.batch), any.cache_mode(),
                  MedianCell(one.baseline, unit), WidthCell(one.baseline),
                  MedianCell(one.candidate, unit), WidthCell(one.candidate), DifferenceCell(one),
                  std::string(VerdictName(one.verdict))});
  }
  return table;
}

}  // namespace qtipd
