#include "server/transport/listen_address.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

absl::Status ListenFailed(const ListenAddress& address, const std::string& field,
                          const std::string& why) {
  return MakeError(absl::StatusCode::kUnavailable, "LISTEN_FAILED",
                   field + " " + address.Text() + ": " + why,
                   {{"field", field}, {"got", address.Text()}});
}

// 0, or the errno of binding a listener to `info`.
int TryToListen(const addrinfo& info) {
  const int descriptor = socket(info.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return errno;
  const int yes = 1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  int error = 0;
  if (bind(descriptor, info.ai_addr, info.ai_addrlen) != 0 || listen(descriptor, 1) != 0) {
    error = errno;
  }
  close(descriptor);
  return error;
}

}  // namespace

std::string ListenAddress::Text() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool ListenAddress::IsLoopback() const {
  if (host == "::1") return true;
  // A name such as 127.example.org is not an address, so every character counts.
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos;
}

absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& text,
                                                 const std::string& field) {
  const absl::Status invalid = InvalidField("ADDRESS_INVALID", field, "'" + text + "'",
                                            "HOST:PORT or [IPV6]:PORT, port 0 to 65535");
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return invalid;
  ListenAddress address;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, address.port);
  if (parsed.ec != std::errc() || parsed.ptr != end || address.port < 0 || address.port > 65535) {
    return invalid;
  }
  address.host = text.substr(0, colon);
  const bool is_bracketed = address.host.front() == '[' && address.host.back() == ']';
  if (is_bracketed) address.host = address.host.substr(1, address.host.size() - 2);
  const bool has_colon = address.host.find(':') != std::string::npos;
  if (address.host.empty() || has_colon != is_bracketed) return invalid;
  if (address.host == "localhost") address.host = "127.0.0.1";
  return address;
}

absl::Status CheckLoopback(const ListenAddress& address, const std::string& field) {
  if (address.IsLoopback()) return absl::OkStatus();
  return InvalidField("TLS_REQUIRED", field, address.Text(),
                      "a loopback address (127.0.0.1, [::1]), for other machines would need TLS, "
                      "which this version lacks");
}

absl::Status WhyNotListening(const ListenAddress& address, const std::string& field) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int failed =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (failed != 0) return ListenFailed(address, field, gai_strerror(failed));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  const int error = TryToListen(*found);
  if (error == EADDRINUSE) {
    return FieldError(absl::StatusCode::kFailedPrecondition, "PORT_IN_USE", field, address.Text(),
                      "a port that no process listens on, or 0");
  }
  return ListenFailed(address, field, error == 0 ? "gRPC refused it" : std::strerror(error));
}

}  // namespace qtipd
