// What running a suite consists of, and running a distortion table; the other kinds are in
// rate_suite.h and speed_suite.h.
#ifndef QTIPD_CLIENT_SUITE_RUN_H_
#define QTIPD_CLIENT_SUITE_RUN_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "client/session.h"
#include "client/suite.h"

namespace qtipd {

// The device that a suite runs on, so that all its parts use the same one: --device, or the first
// healthy one. Errors: DEVICE_NOT_FOUND.
absl::StatusOr<v1::Device> ChooseSuiteDevice(Session& session, Connection& connection);

// Starts a quantization and waits for its artefact.
absl::StatusOr<v1::Artifact> QuantizeForSuite(Session& session, Connection& connection,
                                              v1::StartQuantizeRequest request);

// Runs the cells of a distortion table whose text contains `only`, prints it, writes
// `out`/<device name>/distortion.csv after every cell and returns the exit code. Errors: USAGE
// where no cell does, or the suite has none; what ended the suite, once what was measured is
// printed.
absl::StatusOr<int> RunDistortionSuite(Session& session, const Suite& suite,
                                       const std::string& only, const std::string& out);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_SUITE_RUN_H_
