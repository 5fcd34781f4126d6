// The cases of a table of speeds, as a suite has them and as a command changes and chooses them.
#ifndef QTIPD_CLIENT_SUITE_CASES_H_
#define QTIPD_CLIENT_SUITE_CASES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/suite.h"

namespace qtipd {

// Every case once, in the order of the groups; equal ones have the batches of all.
std::vector<SpeedCase> ExpandCases(const Suite& suite);

// Every matrix as a square of `size`.
void SetSize(Suite& suite, int64_t size);

// Replaces the values of one axis of the sweep, "KEY=V1,V2": batch, in_features, out_features,
// distribution, activations, or an option in the groups that have it. Errors: USAGE naming the axes
// there are.
absl::Status SetAxis(Suite& suite, const std::string& text);

// Parts of cases' texts. A case is chosen if its text contains all of `include` and none of
// `exclude`.
struct CaseFilter {
  std::vector<std::string> include;
  std::vector<std::string> exclude;
};

// Errors: USAGE where no case is left.
absl::StatusOr<std::vector<SpeedCase>> ChooseCases(const Suite& suite, const CaseFilter& filter);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_SUITE_CASES_H_
