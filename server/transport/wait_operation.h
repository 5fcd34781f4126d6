// WaitOperation of google.longrunning: answers when the operation is done or the time is up.
#ifndef QTIPD_SERVER_TRANSPORT_WAIT_OPERATION_H_
#define QTIPD_SERVER_TRANSPORT_WAIT_OPERATION_H_

#include "google/longrunning/operations.pb.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/metrics/rpc_metrics.h"
#include "server/transport/rpc_environment.h"

namespace qtipd {

// Returns the call's reactor, which deletes itself. Without a timeout in the request it waits as
// long as the call lives. No thread is held meanwhile. Errors: WAIT_TIMEOUT_INVALID,
// OPERATION_NAME_INVALID, and the engine's.
grpc::ServerUnaryReactor* WaitOperationCall(
    const RpcEnvironment& environment, RpcName name, grpc::CallbackServerContext* context,
    const google::longrunning::WaitOperationRequest* request,
    google::longrunning::Operation* response);

}  // namespace qtipd

#endif  // QTIPD_SERVER_TRANSPORT_WAIT_OPERATION_H_
