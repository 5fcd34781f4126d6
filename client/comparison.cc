#include "client/comparison.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/units.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/base/comparability_key.h"

namespace qtipd {
namespace {

std::string CaseName(const v1::BenchmarkResult& result) {
  return absl::StrCat(result.path(), " batch=", result.batch());
}

const v1::BenchmarkResult* FindCase(const v1::Run& run, const v1::BenchmarkResult& like) {
  for (const v1::BenchmarkResult& result : run.results()) {
    if (result.path() == like.path() && result.batch() == like.batch()) return &result;
  }
  return nullptr;
}

absl::Status CheckComparable(const v1::BenchmarkResult& baseline,
                             const v1::BenchmarkResult& candidate) {
  const std::vector<std::string> differing =
      DifferingParts(baseline.comparability_key(), candidate.comparability_key());
  if (differing.empty()) return absl::OkStatus();
  return FieldError(
      absl::StatusCode::kFailedPrecondition, "NOT_COMPARABLE",
      "comparability key of " + CaseName(candidate),
      candidate.comparability_key() + " (differs in " + absl::StrJoin(differing, ", ") + ")",
      baseline.comparability_key());
}

bool Overlap(const v1::Latency& a, const v1::Latency& b) {
  return a.ci_low() <= b.ci_high() && b.ci_low() <= a.ci_high();
}

Verdict Judge(const CaseComparison& one, double threshold) {
  const v1::Latency& baseline = one.baseline->latency();
  const v1::Latency& candidate = one.candidate->latency();
  if (!baseline.stable() || !candidate.stable()) return Verdict::kInconclusive;
  if (std::fabs(one.ratio - 1) <= threshold) return Verdict::kSame;
  if (Overlap(baseline, candidate)) return Verdict::kInconclusive;
  return one.ratio > 1 ? Verdict::kSlower : Verdict::kFaster;
}

Cell MedianCell(const v1::BenchmarkResult& result, const TimeUnit& unit) {
  const double median = result.latency().median();
  return Cell(FormatNumber(median / unit.seconds), ExactNumber(median));
}

Cell WidthCell(const v1::BenchmarkResult& result) {
  const v1::Latency& latency = result.latency();
  const double width = (latency.ci_high() - latency.ci_low()) / 2 / latency.median();
  return Cell(FormatPercent(width), ExactNumber(width));
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
    case Verdict::kInconclusive:
      return "inconclusive";
  }
  return "";
}

absl::StatusOr<std::vector<CaseComparison>> CompareRuns(const v1::Run& baseline,
                                                        const v1::Run& candidate,
                                                        double threshold) {
  std::vector<CaseComparison> cases;
  for (const v1::BenchmarkResult& result : candidate.results()) {
    const v1::BenchmarkResult* base = FindCase(baseline, result);
    if (base == nullptr || base->has_error() || result.has_error()) continue;
    QTIPD_RETURN_IF_ERROR(CheckComparable(*base, result));
    CaseComparison& one = cases.emplace_back(CaseComparison{base, &result});
    one.ratio = result.latency().median() / base->latency().median();
    one.verdict = Judge(one, threshold);
  }
  if (!cases.empty()) return cases;
  return FieldError(absl::StatusCode::kFailedPrecondition, "NOT_COMPARABLE", "run",
                    candidate.id() + " and " + baseline.id() + " with no case in both",
                    "runs that measured the same path and batch");
}

Table ComparisonTable(const std::vector<CaseComparison>& cases) {
  double largest = 0;
  for (const CaseComparison& one : cases) {
    largest =
        std::max({largest, one.baseline->latency().median(), one.candidate->latency().median()});
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
    const double difference = one.ratio - 1;
    table.AddRow({one.candidate->path(), std::to_string(one.candidate->batch()),
                  one.candidate->cache_mode(), MedianCell(*one.baseline, unit),
                  WidthCell(*one.baseline), MedianCell(*one.candidate, unit),
                  WidthCell(*one.candidate),
                  Cell(absl::StrCat(difference > 0 ? "+" : "", FormatPercent(difference)),
                       ExactNumber(difference)),
                  std::string(VerdictName(one.verdict))});
  }
  return table;
}

}  // namespace qtipd
