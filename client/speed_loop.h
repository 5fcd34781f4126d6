// The order of a table of speeds: case after case, until something other than a case fails.
#ifndef QTIPD_CLIENT_SPEED_LOOP_H_
#define QTIPD_CLIENT_SPEED_LOOP_H_

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "client/speed_table.h"

namespace qtipd {

// Adds to a result what it lacks. On an error the result keeps what was measured before.
using MeasureCase = std::function<absl::Status(SpeedResult&)>;
// Keeps what there is, once a case is finished.
using KeepCases = std::function<absl::Status(const SpeedResult&)>;

// Measures every result that is not finished, and calls `keep` after each. A case that asks what
// its device or format does not give (Unimplemented, InvalidArgument, ResourceExhausted) is
// finished with that status; any other error, of `measure` or `keep`, ends the loop and is
// returned.
absl::Status MeasureCases(std::vector<SpeedResult>& results, const MeasureCase& measure,
                          const KeepCases& keep);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_SPEED_LOOP_H_
