// google.longrunning.Operations over the engine.
#ifndef QTIPD_SERVER_TRANSPORT_OPERATIONS_SERVICE_H_
#define QTIPD_SERVER_TRANSPORT_OPERATIONS_SERVICE_H_

#include "google/longrunning/operations.grpc.pb.h"
#include "server/transport/rpc_environment.h"
#include "server/transport/unary_call.h"
#include "server/transport/wait_operation.h"

namespace qtipd {

// Thread-safe; one line an RPC.
class OperationsService final : public google::longrunning::Operations::CallbackService {
 public:
  // The environment outlives the service.
  explicit OperationsService(const RpcEnvironment& environment) : environment_(environment) {}

  grpc::ServerUnaryReactor* GetOperation(grpc::CallbackServerContext* context,
                                         const google::longrunning::GetOperationRequest* request,
                                         google::longrunning::Operation* response) override {
    // Its result may be a model, which is read from many files.
    return BlockingUnaryCall(environment_, Name("GetOperation"), context, request, response,
                             qtipd::GetOperation);
  }
  grpc::ServerUnaryReactor* ListOperations(
      grpc::CallbackServerContext* context,
      const google::longrunning::ListOperationsRequest* request,
      google::longrunning::ListOperationsResponse* response) override {
    return Unary(context, "ListOperations", request, response, qtipd::ListOperations);
  }
  grpc::ServerUnaryReactor* CancelOperation(
      grpc::CallbackServerContext* context,
      const google::longrunning::CancelOperationRequest* request,
      google::protobuf::Empty* response) override {
    return Unary(context, "CancelOperation", request, response, qtipd::CancelOperation);
  }
  grpc::ServerUnaryReactor* DeleteOperation(
      grpc::CallbackServerContext* context,
      const google::longrunning::DeleteOperationRequest* request,
      google::protobuf::Empty* response) override {
    return Unary(context, "DeleteOperation", request, response, qtipd::DeleteOperation);
  }
  grpc::ServerUnaryReactor* WaitOperation(grpc::CallbackServerContext* context,
                                          const google::longrunning::WaitOperationRequest* request,
                                          google::longrunning::Operation* response) override {
    return WaitOperationCall(environment_, Name("WaitOperation"), context, request, response);
  }

 private:
  static RpcName Name(const char* method) {
    return {google::longrunning::Operations::service_full_name(), method, "unary"};
  }

  template <typename Request, typename Response, typename Verb>
  grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext* context, const char* method,
                                  const Request* request, Response* response, Verb verb) {
    return UnaryCall(environment_, Name(method), context, request, response,
                     [this, verb](const Request& r, const CallContext& call) {
                       return verb(environment_.engine, r, call);
                     });
  }

  const RpcEnvironment& environment_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_TRANSPORT_OPERATIONS_SERVICE_H_
