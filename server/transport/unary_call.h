// The one way in which unary RPCs are served.
#ifndef QTIPD_SERVER_TRANSPORT_UNARY_CALL_H_
#define QTIPD_SERVER_TRANSPORT_UNARY_CALL_H_

#include <functional>
#include <utility>

#include "absl/status/statusor.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/transport/call_record.h"
#include "server/transport/io_pool.h"
#include "server/transport/rpc_environment.h"

namespace qtipd {

// Answers a started call with `handle`, an absl::StatusOr<Response>(const CallContext&), which is
// not run at all for a call that nobody waits for any more; ends the record.
template <typename Handle, typename Response>
grpc::Status HandleUnary(CallRecord& record, const Handle& handle, Response& response) {
  const CallContext call = record.Context();
  absl::Status status = call.Check();
  if (status.ok()) {
    absl::StatusOr<Response> result = handle(call);
    status = result.status();
    if (result.ok()) response = *std::move(result);
  }
  return record.Finish(status);
}

// Runs `handler`, an absl::StatusOr<Response>(const Request&, const CallContext&), on the calling
// gRPC thread and finishes the call: the handler must not block. Started, timed, counted and logged
// by a CallRecord; not run at all for a call that nobody waits for any more.
template <typename Request, typename Response, typename Handler>
grpc::ServerUnaryReactor* UnaryCall(const RpcEnvironment& environment, RpcName name,
                                    grpc::CallbackServerContext* context, const Request* request,
                                    Response* response, Handler&& handler) {
  CallRecord record(environment, std::move(name), *context);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(HandleUnary(
      record, [&](const CallContext& call) { return handler(*request, call); }, *response));
  return reactor;
}

// A unary call whose handler blocks: it runs on the I/O pool. Deletes itself.
template <typename Request, typename Response>
class BlockingUnaryReactor final : public grpc::ServerUnaryReactor {
 public:
  BlockingUnaryReactor(const RpcEnvironment& environment, RpcName name,
                       const grpc::CallbackServerContext& context)
      : record_(environment, std::move(name), context) {}
  void OnDone() override { delete this; }

  template <typename Handler>
  void Run(Engine& engine, const Request& request, Response& response, const Handler& handler) {
    Finish(HandleUnary(
        record_, [&](const CallContext& call) { return handler(engine, request, call); },
        response));
  }

 private:
  CallRecord record_;
};

// UnaryCall for a handler (Engine&, const Request&, const CallContext&) that may block.
template <typename Request, typename Response, typename Handler>
grpc::ServerUnaryReactor* BlockingUnaryCall(const RpcEnvironment& environment, RpcName name,
                                            grpc::CallbackServerContext* context,
                                            const Request* request, Response* response,
                                            Handler handler) {
  auto* reactor =
      new BlockingUnaryReactor<Request, Response>(environment, std::move(name), *context);
  environment.io->Post([&environment, reactor, request, response, handler] {
    reactor->Run(environment.engine, *request, *response, handler);
  });
  return reactor;
}

}  // namespace qtipd

#endif  // QTIPD_SERVER_TRANSPORT_UNARY_CALL_H_
