// WatchOperation: the operation now and after every change.
#ifndef QTIPD_SERVER_TRANSPORT_WATCH_OPERATION_H_
#define QTIPD_SERVER_TRANSPORT_WATCH_OPERATION_H_

#include "google/longrunning/operations.pb.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "qtipd/v1/operation.pb.h"
#include "server/metrics/rpc_metrics.h"
#include "server/transport/rpc_environment.h"

namespace qtipd {

// Returns the call's reactor, which deletes itself. A slow client gets fewer, newer updates, but
// always the last one; never blocks.
grpc::ServerWriteReactor<google::longrunning::Operation>* WatchOperationCall(
    const RpcEnvironment& environment, RpcName name, grpc::CallbackServerContext* context,
    const v1::WatchOperationRequest* request);

}  // namespace qtipd

#endif  // QTIPD_SERVER_TRANSPORT_WATCH_OPERATION_H_
