// One daemon: its channel, its stubs, and unary calls with a deadline.
#ifndef QTIPD_CLIENT_CONNECTION_H_
#define QTIPD_CLIENT_CONNECTION_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/rpc_status.h"
#include "google/longrunning/operations.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "qtipd/v1/qtip_service.grpc.pb.h"

namespace qtipd {

using google::longrunning::Operation;
using google::longrunning::Operations;

// Thread-safe.
class Connection {
 public:
  // Connects to `target` (HOST:PORT, or a name that gRPC resolves), trying again until it answers
  // or `connect_timeout` is over, because a daemon may be starting. Every later unary call is
  // bounded by `call_timeout`. No HTTP proxy is used: daemons stand in the same network. Errors:
  // Unavailable/TARGET_UNREACHABLE.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const std::string& target,
                                                          absl::Duration connect_timeout,
                                                          absl::Duration call_timeout);

  const std::string& target() const { return target_; }
  v1::QtipService::Stub& qtip() { return *qtip_; }
  Operations::Stub& operations() { return *operations_; }
  grpc::health::v1::Health::Stub& health() { return *health_; }

  void SetDeadline(grpc::ClientContext& context) const;

  // connection.Call(connection.qtip(), &v1::QtipService::Stub::GetRun, request)
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(Stub& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) const {
    grpc::ClientContext context;
    SetDeadline(context);
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok()) return FromGrpc(status, target_);
    return response;
  }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::QtipService::Stub::*method)(grpc::ClientContext*,
                                                                              const Request&,
                                                                              Response*),
                                const Request& request) const {
    return Call(*qtip_, method, request);
  }

 private:
  Connection(std::string target, std::shared_ptr<grpc::Channel> channel,
             absl::Duration call_timeout);

  std::string target_;
  absl::Duration call_timeout_;
  std::unique_ptr<v1::QtipService::Stub> qtip_;
  std::unique_ptr<Operations::Stub> operations_;
  std::unique_ptr<grpc::health::v1::Health::Stub> health_;
};

}  // namespace qtipd

#endif  // QTIPD_CLIENT_CONNECTION_H_
