// GetOperation, ListOperations, CancelOperation, DeleteOperation.
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/service/common_conversion.h"
#include "server/service/handlers.h"
#include "server/service/operation_conversion.h"

namespace qtipd {

absl::StatusOr<google::longrunning::Operation> GetOperation(
    Engine& engine, const google::longrunning::GetOperationRequest& request,
    const CallContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const std::string id, OperationId(request.name()));
  QTIPD_ASSIGN_OR_RETURN(const OperationRecord record, engine.GetOperation(id));
  return ToProto(record, engine, Samples::kKeep);
}

absl::StatusOr<google::longrunning::ListOperationsResponse> ListOperations(
    Engine& engine, const google::longrunning::ListOperationsRequest& request,
    const CallContext& context) {
  if (!request.filter().empty()) {
    return InvalidField("FILTER_UNSUPPORTED", "filter", "'" + request.filter() + "'",
                        "an empty filter");
  }
  if (!request.name().empty() && request.name() != "operations") {
    return InvalidField("OPERATION_NAME_INVALID", "name", "'" + request.name() + "'",
                        "an empty name or 'operations'");
  }
  QTIPD_ASSIGN_OR_RETURN(const PageRequest page,
                         ToPageRequest(request.page_size(), request.page_token()));
  QTIPD_ASSIGN_OR_RETURN(const Page<OperationRecord> found, engine.ListOperations(page));
  google::longrunning::ListOperationsResponse response;
  for (const OperationRecord& record : found.items) {
    *response.add_operations() = ToProto(record, engine, Samples::kLeaveOut);
  }
  response.set_next_page_token(found.next_page_token);
  return response;
}

absl::StatusOr<google::protobuf::Empty> CancelOperation(
    Engine& engine, const google::longrunning::CancelOperationRequest& request,
    const CallContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const std::string id, OperationId(request.name()));
  QTIPD_RETURN_IF_ERROR(engine.CancelOperation(id));
  return google::protobuf::Empty();
}

absl::StatusOr<google::protobuf::Empty> DeleteOperation(
    Engine& engine, const google::longrunning::DeleteOperationRequest& request,
    const CallContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const std::string id, OperationId(request.name()));
  QTIPD_RETURN_IF_ERROR(engine.DeleteOperation(id));
  return google::protobuf::Empty();
}

}  // namespace qtipd
