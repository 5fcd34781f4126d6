// Two runs side by side.
#ifndef QTIPD_CLIENT_COMPARISON_H_
#define QTIPD_CLIENT_COMPARISON_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/output.h"
#include "qtipd/v1/benchmark.pb.h"

namespace qtipd {

enum class Verdict { kSame, kFaster, kSlower, kFailed, kInconclusive };
std::string_view VerdictName(Verdict verdict);  // "same", "faster", "slower", "failed", ...

// One case (path and batch) of either run. The results live as long as the runs; null where the run
// has none, or could not measure it.
struct CaseComparison {
  std::string path;
  int64_t batch = 1;
  const v1::BenchmarkResult* baseline = nullptr;
  const v1::BenchmarkResult* candidate = nullptr;
  double ratio = 1;  // candidate's median over baseline's; 1 where one is missing
  Verdict verdict = Verdict::kSame;
};

// Every case that at least one of the runs measured. `threshold` is the relative difference of
// medians up to which two results count as the same. A case is
//   failed        if the baseline measured it and the candidate did not
//   inconclusive  if only the candidate measured it, if a result of it is not stable, or if the
//                 difference exceeds the threshold while the medians' 95 % intervals overlap
// Errors: FailedPrecondition/NOT_COMPARABLE if the comparability keys of a case differ or were not
// kept, naming the parts, or if no case was measured by both.
absl::StatusOr<std::vector<CaseComparison>> CompareRuns(const v1::Run& baseline,
                                                        const v1::Run& candidate, double threshold);

Table ComparisonTable(const std::vector<CaseComparison>& cases);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_COMPARISON_H_
