// Errors on their way to the user: google.rpc.Status of a server, Status of our own, one line.
#ifndef QTIPD_CLIENT_RPC_STATUS_H_
#define QTIPD_CLIENT_RPC_STATUS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/support/status.h"

namespace qtipd {

// Exit codes of qtipctl; scripts depend on them.
inline constexpr int kExitDone = 0;
inline constexpr int kExitCheckFailed = 1;
inline constexpr int kExitError = 2;  // usage or infrastructure
inline constexpr int kExitInconclusive = 3;

// A usage error of the command line: "<field>: got <got>, allowed <allowed>", reason USAGE.
absl::Status UsageError(std::string_view field, std::string_view got, std::string_view allowed);

// The status of a finished call to `target`; the server's details stay attached. A server that is
// gone becomes TARGET_UNREACHABLE, a deadline that passed DEADLINE_EXCEEDED, and a server of
// another kind TARGET_NOT_QTIPD.
absl::Status FromGrpc(const grpc::Status& status, const std::string& target);

// The error of an operation or of a benchmark's cell.
absl::Status FromRpcStatus(const google::rpc::Status& status);

// What `-o json` prints: the server's own message, or one made from a local error.
google::rpc::Status ToRpcStatus(const absl::Status& status);

// "error: REASON: field: got ..., allowed ...", without a newline at its end or within.
std::string ErrorLine(const absl::Status& status);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_RPC_STATUS_H_
