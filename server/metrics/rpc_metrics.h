// What the transport tells about its calls; implemented by PrometheusSink.
#ifndef QTIPD_SERVER_METRICS_RPC_METRICS_H_
#define QTIPD_SERVER_METRICS_RPC_METRICS_H_

#include <string>

namespace qtipd {

// Which RPC, in the words of go-grpc-prometheus, so that stock dashboards work. All three come from
// the service descriptor, never from the wire.
struct RpcName {
  std::string service;  // "qtipd.v1.QtipService"
  std::string method;   // "GetArtifact"
  std::string type;     // "unary", "client_stream", "server_stream", "bidi_stream"
};

// Thread-safe; every call is cheap and never fails.
class RpcMetrics {
 public:
  virtual ~RpcMetrics() = default;
  virtual void RpcStarted(const RpcName& rpc) = 0;
  // `code` is the gRPC code's name as go-grpc writes it: "OK", "InvalidArgument", "NotFound", ...
  virtual void RpcHandled(const RpcName& rpc, const std::string& code, double seconds) = 0;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_METRICS_RPC_METRICS_H_
