// absl::Status as the google.rpc.Status that clients decode (AIP-193).
#ifndef QTIPD_SERVER_SERVICE_STATUS_PROTO_H_
#define QTIPD_SERVER_SERVICE_STATUS_PROTO_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"

namespace qtipd {

inline constexpr char kErrorDomain[] = "qtipd.dev";

// Returns the status with an ErrorInfo of domain kErrorDomain, and a RetryInfo where a retry may
// succeed (QUEUE_FULL, SERVER_DRAINING). Text is made valid UTF-8 and is cut, the message at 1024
// bytes and each metadata value at 256, because a status travels in HTTP/2 trailers, of which gRPC
// accepts 8 KiB. An OK status becomes an empty message.
google::rpc::Status ToProto(const absl::Status& status);

// Replaces every byte that is not part of valid UTF-8 by '?', and cuts at a character boundary so
// that at most `limit` bytes remain, "..." included.
std::string CleanText(std::string_view text, size_t limit);

}  // namespace qtipd

#endif  // QTIPD_SERVER_SERVICE_STATUS_PROTO_H_
