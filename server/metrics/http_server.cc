#include "server/metrics/http_server.h"

#include <httplib.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

constexpr char kTextFormat[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr size_t kThreads = 2;  // a scrape and a probe

struct HostPort {
  std::string host;
  int port = 0;
};

absl::StatusOr<HostPort> ParseAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  HostPort parsed;
  bool is_valid = colon != std::string::npos && colon > 0;
  if (is_valid) {
    const char* end = address.data() + address.size();
    const auto result = std::from_chars(address.data() + colon + 1, end, parsed.port);
    is_valid =
        result.ec == std::errc() && result.ptr == end && parsed.port >= 0 && parsed.port <= 65535;
    parsed.host = address.substr(0, colon);
  }
  if (is_valid && parsed.host.front() == '[' && parsed.host.back() == ']') {
    parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
  }
  if (!is_valid || parsed.host.empty()) {
    return InvalidField("ADDRESS_INVALID", "http-listen", address, "HOST:PORT, port 0 to 65535");
  }
  return parsed;
}

// httplib's default is SO_REUSEPORT, with which a port in use is silently shared. SO_REUSEADDR only
// lets a restart bind while old connections are in TIME_WAIT.
void SetSocketOptions(socket_t socket) {
  const int yes = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
}

absl::Status ListenError(const std::string& address, int error) {
  if (error == EADDRINUSE) {
    return FieldError(absl::StatusCode::kFailedPrecondition, "PORT_IN_USE", "http-listen", address,
                      "a port that no process listens on, or 0");
  }
  return MakeError(absl::StatusCode::kUnavailable, "LISTEN_FAILED",
                   "http-listen " + address + ": " +
                       (error != 0 ? std::strerror(error) : "the address cannot be resolved"),
                   {{"field", "http-listen"}, {"got", address}});
}

class HttplibServer final : public HttpServer {
 public:
  explicit HttplibServer(HttpPages pages) : pages_(std::move(pages)) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server_.set_socket_options(SetSocketOptions);
    server_.set_payload_max_length(1024);
    server_.set_read_timeout(std::chrono::seconds(5));
    server_.set_keep_alive_timeout(1);  // so that Stop waits a second at most
    server_.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
      response.set_content(pages_.metrics(), kTextFormat);
    });
    server_.Get("/healthz", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("ok\n", "text/plain");
    });
    server_.Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
      const bool is_ready = pages_.is_ready();
      response.status = is_ready ? 200 : 503;
      response.set_content(is_ready ? "ready\n" : "not ready\n", "text/plain");
    });
  }
  ~HttplibServer() override { Stop(); }

  absl::Status Listen(const std::string& address) {
    QTIPD_ASSIGN_OR_RETURN(HostPort where, ParseAddress(address));
    host_ = where.host;
    errno = 0;
    if (where.port == 0) {
      port_ = server_.bind_to_any_port(host_);
      if (port_ <= 0) return ListenError(address, errno);
    } else {
      if (!server_.bind_to_port(host_, where.port)) return ListenError(address, errno);
      port_ = where.port;
    }
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    // stop() before the loop runs would be lost.
    while (!server_.is_running()) std::this_thread::yield();
    return absl::OkStatus();
  }

  int port() const override { return port_; }
  std::string address() const override {
    const bool is_ipv6 = host_.find(':') != std::string::npos;
    return (is_ipv6 ? "[" + host_ + "]" : host_) + ":" + std::to_string(port_);
  }
  void Stop() override {
    if (!thread_.joinable()) return;
    server_.stop();
    thread_.join();
  }

 private:
  HttpPages pages_;
  httplib::Server server_;
  std::thread thread_;
  std::string host_;
  int port_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& address,
                                                              HttpPages pages) {
  auto server = std::make_unique<HttplibServer>(std::move(pages));
  QTIPD_RETURN_IF_ERROR(server->Listen(address));
  return server;
}

}  // namespace qtipd
