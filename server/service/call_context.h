// What a handler may know about the call that it serves.
#ifndef QTIPD_SERVER_SERVICE_CALL_CONTEXT_H_
#define QTIPD_SERVER_SERVICE_CALL_CONTEXT_H_

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace qtipd {

// Filled by the transport; valid for the duration of the handler.
struct CallContext {
  std::optional<std::chrono::system_clock::time_point> deadline;  // absent: the client set none
  std::function<bool()> is_cancelled;                             // empty: never
  std::string peer;                                               // "ipv4:127.0.0.1:50000"

  // OK while somebody waits for the answer.
  // Errors: DeadlineExceeded/DEADLINE_EXCEEDED, Cancelled/CALL_CANCELLED.
  absl::Status Check() const;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_SERVICE_CALL_CONTEXT_H_
