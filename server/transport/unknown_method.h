// The answer to methods that this server does not have.
#ifndef QTIPD_SERVER_TRANSPORT_UNKNOWN_METHOD_H_
#define QTIPD_SERVER_TRANSPORT_UNKNOWN_METHOD_H_

#include "grpcpp/generic/async_generic_service.h"

namespace qtipd {

// Answers with Unimplemented/METHOD_UNKNOWN, where gRPC itself would send a bare code. Neither
// counted nor logged at INFO: the names come from the wire.
class UnknownMethodService final : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_TRANSPORT_UNKNOWN_METHOD_H_
