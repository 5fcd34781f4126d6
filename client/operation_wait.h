// Long work: start it, follow it, cancel it on Ctrl-C, take its result.
#ifndef QTIPD_CLIENT_OPERATION_WAIT_H_
#define QTIPD_CLIENT_OPERATION_WAIT_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "client/session.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {

// "operations/<id>" of an id in either spelling.
std::string OperationName(const std::string& id);

// A random key by which a daemon knows a repeated start.
std::string NewRequestId();

// What Ctrl-C means to the operation that is being awaited.
enum class OnInterrupt { kCancel, kLeaveRunning };

// Follows an operation to its end through WatchOperation, with progress on stderr where that is a
// terminal; if the stream breaks, by polling. Blocks without limit, or for --timeout where it was
// given.
// Errors: the operation's own; Cancelled/INTERRUPTED_BY_USER; DeadlineExceeded/OPERATION_TIMEOUT,
// the operation goes on; TARGET_UNREACHABLE.
absl::StatusOr<Operation> AwaitOperation(Session& session, Connection& connection,
                                         const Operation& started,
                                         OnInterrupt on_interrupt = OnInterrupt::kCancel);

// The resource that an operation made.
template <typename Resource>
absl::StatusOr<Resource> ResultOf(const Operation& done) {
  Resource resource;
  if (!done.response().UnpackTo(&resource)) {
    return MakeError(absl::StatusCode::kInternal, "OPERATION_RESULT_UNKNOWN",
                     done.name() + ": got " + done.response().type_url() + ", allowed " +
                         std::string(Resource::descriptor()->full_name()));
  }
  return resource;
}

// AwaitOperation, and ResultOf.
template <typename Resource>
absl::StatusOr<Resource> AwaitResult(Session& session, Connection& connection,
                                     const Operation& started) {
  QTIPD_ASSIGN_OR_RETURN(const Operation done, AwaitOperation(session, connection, started));
  return ResultOf<Resource>(done);
}

}  // namespace qtipd

#endif  // QTIPD_CLIENT_OPERATION_WAIT_H_
