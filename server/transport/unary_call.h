// The one way in which unary RPCs are served.
#ifndef QTIPD_SERVER_TRANSPORT_UNARY_CALL_H_
#define QTIPD_SERVER_TRANSPORT_UNARY_CALL_H_

#include <utility>

#include "absl/status/statusor.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/transport/call_record.h"
#include "server/transport/rpc_environment.h"

namespace qtipd {

// Runs `handler`, an absl::StatusOr<Response>(const Request&, const CallContext&), on the calling
// gRPC thread and finishes the call: the handler must not block. Started, timed, counted and logged
// by a CallRecord; not run at all for a call that nobody waits for any more.
template <typename Request, typename Response, typename Handler>
grpc::ServerUnaryReactor* UnaryCall(const RpcEnvironment& environment, RpcName name,
                                    grpc::CallbackServerContext* context, const Request* request,
                                    Response* response, Handler&& handler) {
  CallRecord record(environment, std::move(name), *context);
  const CallContext call = record.Context();
  absl::Status status = call.Check();
  if (status.ok()) {
    absl::StatusOr<Response> result = handler(*request, call);
    status = result.status();
    if (result.ok()) *response = *std::move(result);
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(record.Finish(status));
  return reactor;
}

}  // namespace qtipd

#endif  // QTIPD_SERVER_TRANSPORT_UNARY_CALL_H_
