// What gRPC says about itself.
#ifndef QTIPD_SERVER_TRANSPORT_GRPC_LOG_H_
#define QTIPD_SERVER_TRANSPORT_GRPC_LOG_H_

namespace qtipd {

// Sends gRPC's own log to ours at debug level: what matters in it reaches users as a Status
// already. Called once, before gRPC is used.
void RouteGrpcLog();

}  // namespace qtipd

#endif  // QTIPD_SERVER_TRANSPORT_GRPC_LOG_H_
