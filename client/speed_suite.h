// Running a table of speeds.
#ifndef QTIPD_CLIENT_SPEED_SUITE_H_
#define QTIPD_CLIENT_SPEED_SUITE_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/session.h"
#include "client/suite.h"
#include "client/suite_cases.h"

namespace qtipd {

// Benchmarks the cases that `filter` chooses as often as the suite repeats them, prints the suite's
// report and writes it below `out`/<device name>/<suite>/: report.md (what is printed), runs.json
// (everything), and speeds.csv (every run) or, of a sweep, cases.csv and cases.jsonl (a row a case
// and batch), after every case. A case that this device cannot run is told and left empty. With
// `is_resuming`, what the runs.json of an earlier run has is taken, and the rest measured. Returns
// the exit code.
// Errors: USAGE where there is no such case; SUITE_NOT_RESUMABLE; what ended the suite, once what
// was measured until then is written and printed.
absl::StatusOr<int> RunSpeedSuite(Session& session, const Suite& suite, const CaseFilter& filter,
                                  const std::string& out, bool is_resuming);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_SPEED_SUITE_H_
