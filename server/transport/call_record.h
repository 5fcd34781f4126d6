// The bookkeeping around one call, the same for unary and streaming ones.
#ifndef QTIPD_SERVER_TRANSPORT_CALL_RECORD_H_
#define QTIPD_SERVER_TRANSPORT_CALL_RECORD_H_

#include <string>

#include "absl/status/status.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"
#include "server/metrics/rpc_metrics.h"
#include "server/service/call_context.h"
#include "server/transport/rpc_environment.h"

namespace qtipd {

// Starts the timer and counts the call when built. Finish is called once, from any thread.
class CallRecord {
 public:
  // Both references outlive the call.
  CallRecord(const RpcEnvironment& environment, RpcName name,
             const grpc::CallbackServerContext& context);

  // The context for a handler; valid while the call lives.
  CallContext Context() const;

  // Records the metric, logs one line and returns the status to finish the call with.
  grpc::Status Finish(const absl::Status& status);
  // The same for a call whose client has gone: Cancelled, or DeadlineExceeded if that is why.
  grpc::Status FinishCancelled();

 private:
  const RpcEnvironment& environment_;
  const RpcName name_;
  const grpc::CallbackServerContext& context_;
  const std::string peer_;
  const double start_seconds_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_TRANSPORT_CALL_RECORD_H_
