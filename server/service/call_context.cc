#include "server/service/call_context.h"

#include "kernels/api/error.h"

namespace qtipd {

absl::Status CallContext::Check() const {
  if (deadline && std::chrono::system_clock::now() >= *deadline) {
    return MakeError(absl::StatusCode::kDeadlineExceeded, "DEADLINE_EXCEEDED",
                     "the call's deadline passed before it was served");
  }
  if (is_cancelled && is_cancelled()) {
    return MakeError(absl::StatusCode::kCancelled, "CALL_CANCELLED",
                     "the client cancelled the call");
  }
  return absl::OkStatus();
}

}  // namespace qtipd
