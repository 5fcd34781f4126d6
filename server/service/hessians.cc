// StartCalibrate, GetHessian, ListHessians, DeleteHessian.
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/service/common_conversion.h"
#include "server/service/handlers.h"
#include "server/service/model_conversion.h"
#include "server/service/operation_conversion.h"

namespace qtipd {

absl::StatusOr<google::longrunning::Operation> StartCalibrate(
    Engine& engine, const v1::StartCalibrateRequest& request, const CallContext& context) {
  CalibrateSpec spec;
  spec.request_id = request.request_id();
  spec.name = request.name();
  spec.device = request.device();
  QTIPD_ASSIGN_OR_RETURN(spec.file, FromProto(request.file(), "file"));
  spec.tensor = request.tensor();
  spec.add = request.add();
  spec.display_name = request.display_name();
  if (spec.tensor.empty()) {
    return InvalidField("TENSOR_NAME_MISSING", "tensor", "nothing",
                        "the name of a tensor in the file");
  }
  QTIPD_ASSIGN_OR_RETURN(const OperationRecord operation, engine.StartCalibrate(spec));
  return ToProto(operation, engine, Samples::kKeep);
}

absl::StatusOr<v1::Hessian> GetHessian(Engine& engine, const v1::GetHessianRequest& request,
                                       const CallContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const HessianRecord record, engine.GetHessian(request.name()));
  return ToProto(record);
}

absl::StatusOr<v1::ListHessiansResponse> ListHessians(Engine& engine,
                                                      const v1::ListHessiansRequest& request,
                                                      const CallContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const PageRequest page,
                         ToPageRequest(request.page_size(), request.page_token()));
  QTIPD_ASSIGN_OR_RETURN(const Page<HessianRecord> found, engine.ListHessians(page));
  v1::ListHessiansResponse response;
  for (const HessianRecord& record : found.items) *response.add_hessians() = ToProto(record);
  response.set_next_page_token(found.next_page_token);
  return response;
}

absl::StatusOr<v1::DeleteHessianResponse> DeleteHessian(Engine& engine,
                                                        const v1::DeleteHessianRequest& request,
                                                        const CallContext& context) {
  QTIPD_RETURN_IF_ERROR(engine.DeleteHessian(request.name()));
  return v1::DeleteHessianResponse();
}

}  // namespace qtipd
