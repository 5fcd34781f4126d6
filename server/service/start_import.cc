#include "kernels/api/status.h"
#include "server/service/common_conversion.h"
#include "server/service/handlers.h"
#include "server/service/operation_conversion.h"

namespace qtipd {

absl::StatusOr<google::longrunning::Operation> StartImport(Engine& engine,
                                                           const v1::StartImportRequest& request,
                                                           const CallContext& context) {
  ImportSpec spec;
  spec.request_id = request.request_id();
  spec.name = request.name();
  QTIPD_ASSIGN_OR_RETURN(spec.file, FromProto(request.file(), "file"));
  spec.prefix = request.prefix();
  spec.format = request.format();
  QTIPD_ASSIGN_OR_RETURN(spec.options, FromProto(request.format_options()));
  spec.if_absent = request.if_absent();
  spec.display_name = request.display_name();
  spec.model_config = request.model_config();
  spec.absent_tensors.assign(request.absent_tensors().begin(), request.absent_tensors().end());
  QTIPD_ASSIGN_OR_RETURN(const OperationRecord operation, engine.StartImport(spec));
  return ToProto(operation, engine, Samples::kKeep);
}

}  // namespace qtipd
