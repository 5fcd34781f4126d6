#include "server/sd_notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

absl::Status Failed(const std::string& path, const char* why) {
  return MakeError(absl::StatusCode::kUnavailable, "NOTIFY_FAILED",
                   "NOTIFY_SOCKET " + path + ": " + why, {{"path", path}});
}

}  // namespace

absl::Status SdNotify(const std::string& path, const std::string& state) {
  if (path.empty()) return absl::OkStatus();
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return Failed(path, "the path is too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';
  const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return Failed(path, std::strerror(errno));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const ssize_t sent = sendto(descriptor, state.data(), state.size(), MSG_NOSIGNAL,
                              reinterpret_cast<const sockaddr*>(&address), length);
  const int error = errno;
  close(descriptor);
  return sent < 0 ? Failed(path, std::strerror(error)) : absl::OkStatus();
}

}  // namespace qtipd
