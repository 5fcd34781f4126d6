// Two runs side by side.
#ifndef QTIPD_CLIENT_COMPARISON_H_
#define QTIPD_CLIENT_COMPARISON_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/output.h"
#include "qtipd/v1/benchmark.pb.h"

namespace qtipd {

enum class Verdict { kSame, kFaster, kSlower, kInconclusive };
std::string_view VerdictName(Verdict verdict);  // "same", "faster", "slower", "inconclusive"

// One case (path and batch) of both runs. The results live as long as the runs.
struct CaseComparison {
  const v1::BenchmarkResult* baseline = nullptr;
  const v1::BenchmarkResult* candidate = nullptr;
  double ratio = 1;  // candidate's median over baseline's
  Verdict verdict = Verdict::kSame;
};

// The cases that both runs measured. `threshold` is the relative difference of medians below which
// two results count as the same. A case is inconclusive if a result of it is not stable, or if the
// difference exceeds the threshold while the 95 % intervals of the medians still overlap.
// Errors: FailedPrecondition/NOT_COMPARABLE if the comparability keys of a case differ, naming the
// parts, or if no case is in both.
absl::StatusOr<std::vector<CaseComparison>> CompareRuns(const v1::Run& baseline,
                                                        const v1::Run& candidate, double threshold);

Table ComparisonTable(const std::vector<CaseComparison>& cases);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_COMPARISON_H_
