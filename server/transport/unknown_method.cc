#include "server/transport/unknown_method.h"

#include <string>
#include <utility>

#include "kernels/api/error.h"
#include "server/transport/status_conversion.h"

namespace qtipd {
namespace {

class Reactor final : public grpc::ServerGenericBidiReactor {
 public:
  explicit Reactor(grpc::Status status) { Finish(std::move(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerGenericBidiReactor* UnknownMethodService::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  return new Reactor(
      ToGrpc(FieldError(absl::StatusCode::kUnimplemented, "METHOD_UNKNOWN", "method",
                        context->method(), "the methods that server reflection lists")));
}

}  // namespace qtipd
