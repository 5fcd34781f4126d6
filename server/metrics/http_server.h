// The read-only HTTP pages: /metrics, /healthz and /readyz.
#ifndef QTIPD_SERVER_METRICS_HTTP_SERVER_H_
#define QTIPD_SERVER_METRICS_HTTP_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace qtipd {

// What the pages say; called on the server's threads, so thread-safe.
struct HttpPages {
  std::function<std::string()> metrics;  // exposition text
  std::function<bool()> is_ready;        // a device is usable and the daemon is not draining
};

// Serves until destroyed or stopped. /healthz answers 200 while the process lives; /readyz 200 or
// 503; anything but GET and HEAD of these pages is 404.
class HttpServer {
 public:
  virtual ~HttpServer() = default;

  // Listens on `address`, "HOST:PORT" or "[HOST]:PORT"; port 0 picks a free one.
  // Errors: InvalidArgument/ADDRESS_INVALID; FailedPrecondition/PORT_IN_USE; Unavailable/
  // LISTEN_FAILED with the system's words.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& address,
                                                           HttpPages pages);

  virtual int port() const = 0;
  // "HOST:PORT" with the real port.
  virtual std::string address() const = 0;
  // Closes the listener and waits for running answers. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_METRICS_HTTP_SERVER_H_
