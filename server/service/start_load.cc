// StartLoadArtifact and StartUnloadArtifact.
#include "kernels/api/status.h"
#include "server/service/handlers.h"
#include "server/service/operation_conversion.h"

namespace qtipd {

absl::StatusOr<google::longrunning::Operation> StartLoadArtifact(
    Engine& engine, const v1::LoadArtifactRequest& request, const CallContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const OperationRecord operation,
                         engine.StartLoad(LoadSpec{request.name(), request.device()}));
  return ToProto(operation, engine, Samples::kKeep);
}

absl::StatusOr<google::longrunning::Operation> StartUnloadArtifact(
    Engine& engine, const v1::UnloadArtifactRequest& request, const CallContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const OperationRecord operation,
                         engine.StartUnload(LoadSpec{request.name(), request.device()}));
  return ToProto(operation, engine, Samples::kKeep);
}

}  // namespace qtipd
