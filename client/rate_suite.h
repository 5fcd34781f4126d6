// Running a suite of one matrix at several rates.
#ifndef QTIPD_CLIENT_RATE_SUITE_H_
#define QTIPD_CLIENT_RATE_SUITE_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/session.h"
#include "client/suite.h"

namespace qtipd {

// Quantizes the suite's matrix at every rate, benchmarks each, prints the results, writes the files
// of suite_files.h below `out`/<device name>/ after every rate, and returns the exit code. Errors:
// what ended the suite, once what was measured until then is written and printed.
absl::StatusOr<int> RunRateSuite(Session& session, const Suite& suite, const std::string& out);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_RATE_SUITE_H_
