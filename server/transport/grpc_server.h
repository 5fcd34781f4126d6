// The gRPC server: the two services, health and reflection, on one port.
#ifndef QTIPD_SERVER_TRANSPORT_GRPC_SERVER_H_
#define QTIPD_SERVER_TRANSPORT_GRPC_SERVER_H_

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/transport/rpc_environment.h"

namespace qtipd {

// Thread-safe. Serves from Start until Stop.
class GrpcServer {
 public:
  virtual ~GrpcServer() = default;  // stops, without grace

  // Listens on `listen`, "HOST:PORT"; port 0 picks a free one. The references in `environment`
  // outlive the server. Health is NOT_SERVING until SetServing(true).
  // Errors: ADDRESS_INVALID, PORT_IN_USE, LISTEN_FAILED; InvalidArgument/TLS_REQUIRED for an
  // address that other machines reach.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const std::string& listen,
                                                           const RpcEnvironment& environment);

  // "HOST:PORT" with the real port.
  virtual const std::string& address() const = 0;

  // What the health service answers, and tells its watchers, for "" and both services.
  virtual void SetServing(bool is_serving) = 0;

  // Stops accepting, gives running calls `grace` to end, cancels the rest and waits for it.
  // Idempotent. Not to be called on a thread that runs a call.
  virtual void Stop(std::chrono::milliseconds grace) = 0;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_TRANSPORT_GRPC_SERVER_H_
