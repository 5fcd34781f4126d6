// The service manager's notification protocol, by hand: one datagram (sd_notify(3)).
#ifndef QTIPD_SERVER_SD_NOTIFY_H_
#define QTIPD_SERVER_SD_NOTIFY_H_

#include <string>

#include "absl/status/status.h"

namespace qtipd {

// Sends `state`, for example "READY=1", to the UNIX socket `path` (the value of NOTIFY_SOCKET; a
// leading '@' means an abstract one). Does nothing if `path` is empty.
// Errors: Unavailable/NOTIFY_FAILED with the system's words.
absl::Status SdNotify(const std::string& path, const std::string& state);

}  // namespace qtipd

#endif  // QTIPD_SERVER_SD_NOTIFY_H_
