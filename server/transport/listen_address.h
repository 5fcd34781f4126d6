// Where a gRPC server listens.
#ifndef QTIPD_SERVER_TRANSPORT_LISTEN_ADDRESS_H_
#define QTIPD_SERVER_TRANSPORT_LISTEN_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"

namespace qtipd {

struct ListenAddress {
  std::string host;  // without brackets
  int port = 0;      // 0: the system picks one

  // "HOST:PORT", an IPv6 host in brackets.
  std::string Text() const;
  // 127.0.0.0/8 or ::1: no other machine reaches it.
  bool IsLoopback() const;
};

// Reads "HOST:PORT" or "[HOST]:PORT". "localhost" becomes 127.0.0.1: gRPC would listen on each of
// its addresses, and count it as a success if any one of them was free. Errors:
// InvalidArgument/ADDRESS_INVALID, `field` named.
absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& text, const std::string& field);

// Errors: InvalidArgument/TLS_REQUIRED for an address that other machines reach: they may speak
// gRPC over TLS only.
absl::Status CheckLoopback(const ListenAddress& address, const std::string& field);

// Why nothing could listen there: FailedPrecondition/PORT_IN_USE, or Unavailable/LISTEN_FAILED with
// the system's words. Found by trying, since gRPC does not tell.
absl::Status WhyNotListening(const ListenAddress& address, const std::string& field);

}  // namespace qtipd

#endif  // QTIPD_SERVER_TRANSPORT_LISTEN_ADDRESS_H_
