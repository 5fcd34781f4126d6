// What every RPC of this server works with.
#ifndef QTIPD_SERVER_TRANSPORT_RPC_ENVIRONMENT_H_
#define QTIPD_SERVER_TRANSPORT_RPC_ENVIRONMENT_H_

#include "server/base/clock.h"
#include "server/engine/engine.h"
#include "server/metrics/rpc_metrics.h"
#include "server/service/handlers.h"

namespace qtipd {

class IoPool;

// References outlive the server.
struct RpcEnvironment {
  Engine& engine;
  RpcMetrics& metrics;
  Clock& clock;
  ServerFacts facts;
  IoPool* io = nullptr;  // set by the server
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_TRANSPORT_RPC_ENVIRONMENT_H_
