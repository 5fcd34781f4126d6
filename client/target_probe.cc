#include "client/target_probe.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace qtipd {
namespace {

constexpr char kDnsScheme[] = "dns:///";

v1::Finding Found(const std::string& id, v1::Severity severity, const std::string& what,
                  const std::string& why, const std::string& cure) {
  v1::Finding finding;
  finding.set_id(id);
  finding.set_severity(severity);
  finding.set_what(what);
  finding.set_why(why);
  finding.set_cure_command(cure);
  return finding;
}

struct HostPort {
  std::string host;
  std::string port;
};

// "host:7070" or "[::1]:7070"; without a port gRPC takes 443.
HostPort Split(const std::string& address) {
  const size_t colon = address.rfind(':');
  const size_t bracket = address.rfind(']');
  const bool has_port =
      colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  HostPort parts{address.substr(0, has_port ? colon : std::string::npos),
                 has_port ? address.substr(colon + 1) : "443"};
  if (parts.host.size() > 1 && parts.host.front() == '[' && parts.host.back() == ']') {
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  }
  return parts;
}

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// Null, and `error` says why, where the name means nothing.
Addresses Resolve(const HostPort& parts, std::string& error) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int result = getaddrinfo(parts.host.c_str(), parts.port.c_str(), &hints, &found);
  if (result != 0) error = gai_strerror(result);
  return {result == 0 ? found : nullptr, freeaddrinfo};
}

// Empty, or why no connection came about.
std::string Connect(const addrinfo& address, absl::Duration limit) {
  const int socket_type = address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const int descriptor = socket(address.ai_family, socket_type, address.ai_protocol);
  if (descriptor < 0) return std::strerror(errno);
  int error = connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd waiting = {descriptor, POLLOUT, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(absl::ToInt64Milliseconds(limit)));
    socklen_t size = sizeof(error);
    error = ETIMEDOUT;
    if (ready > 0) getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  close(descriptor);
  return error == 0 ? "" : std::strerror(error);
}

std::string ConnectAny(const addrinfo* addresses, absl::Duration limit) {
  std::string error = "no address";
  for (const addrinfo* address = addresses; address != nullptr; address = address->ai_next) {
    error = Connect(*address, limit);
    if (error.empty()) break;
  }
  return error;
}

}  // namespace

std::vector<v1::Finding> ProbeTarget(const std::string& target, absl::Duration limit) {
  const bool is_dns = absl::StartsWith(target, kDnsScheme);
  const std::string address = is_dns ? target.substr(sizeof(kDnsScheme) - 1) : target;
  if (absl::StrContains(address, "/") || absl::StartsWith(address, "unix:")) {
    return {Found("target_name", v1::SEVERITY_WARNING,
                  absl::StrCat("'", target, "' is no HOST:PORT; gRPC alone resolves it"),
                  "a target that is misspelt reaches nobody", "qtipctl --target HOST:PORT doctor")};
  }
  const HostPort parts = Split(address);
  std::string error;
  const Addresses addresses = Resolve(parts, error);
  const std::string name_why = "a name that does not resolve reaches nobody";
  if (addresses == nullptr) {
    return {Found("target_name", v1::SEVERITY_PROBLEM,
                  absl::StrCat("'", parts.host, "' does not resolve: ", error), name_why,
                  absl::StrCat("getent hosts ", parts.host))};
  }
  std::vector<v1::Finding> findings = {Found(
      "target_name", v1::SEVERITY_OK, absl::StrCat("'", parts.host, "' resolves"), name_why, "")};
  error = ConnectAny(addresses.get(), limit);
  const std::string port_why = "qtipd listens on loopback; from elsewhere it wants a tunnel";
  if (!error.empty()) {
    findings.push_back(
        Found("target_port", v1::SEVERITY_PROBLEM,
              absl::StrCat("nothing takes a connection at ", address, ": ", error), port_why,
              "systemctl status qtipd   # on its host; ssh -L 7070:127.0.0.1:7070 HOST"));
    return findings;
  }
  findings.push_back(Found("target_port", v1::SEVERITY_OK,
                           absl::StrCat("something takes connections at ", address), port_why, ""));
  findings.push_back(
      Found("target_tls", v1::SEVERITY_WARNING,
            "it takes connections but does not speak gRPC without TLS",
            "qtipctl and qtipd speak plain gRPC; a TLS port or an HTTP port is another",
            absl::StrCat("curl -v telnet://", address)));
  return findings;
}

}  // namespace qtipd
