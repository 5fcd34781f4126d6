// GetArtifact, ListArtifacts, DeleteArtifact, GetModel, and the form of an export.
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/service/artifact_conversion.h"
#include "server/service/common_conversion.h"
#include "server/service/handlers.h"
#include "server/service/model_conversion.h"

namespace qtipd {

absl::StatusOr<v1::Artifact> GetArtifact(Engine& engine, const v1::GetArtifactRequest& request,
                                         const CallContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const ArtifactRecord record, engine.GetArtifact(request.name()));
  return ToProto(record);
}

absl::StatusOr<v1::ListArtifactsResponse> ListArtifacts(Engine& engine,
                                                        const v1::ListArtifactsRequest& request,
                                                        const CallContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const PageRequest page,
                         ToPageRequest(request.page_size(), request.page_token()));
  QTIPD_ASSIGN_OR_RETURN(const Page<ArtifactRecord> found, engine.ListArtifacts(page));
  v1::ListArtifactsResponse response;
  for (const ArtifactRecord& record : found.items) *response.add_artifacts() = ToProto(record);
  response.set_next_page_token(found.next_page_token);
  return response;
}

absl::StatusOr<v1::DeleteArtifactResponse> DeleteArtifact(Engine& engine,
                                                          const v1::DeleteArtifactRequest& request,
                                                          const CallContext& context) {
  QTIPD_RETURN_IF_ERROR(request.model() ? engine.DeleteModel(request.name())
                                        : engine.DeleteArtifact(request.name()));
  return v1::DeleteArtifactResponse();
}

absl::StatusOr<v1::Model> GetModel(Engine& engine, const v1::GetModelRequest& request,
                                   const CallContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const ModelView model, engine.GetModel(request.name()));
  return ToProto(model);
}

absl::StatusOr<ExportForm> ToExportForm(v1::ExportForm form) {
  switch (form) {
    case v1::EXPORT_FORM_UNSPECIFIED:
    case v1::EXPORT_FORM_PACKED:
      return ExportForm::kPacked;
    case v1::EXPORT_FORM_DENSE:
      return ExportForm::kDense;
    default:
      return InvalidField("EXPORT_FORM_UNKNOWN", "form", std::to_string(form), "packed, dense");
  }
}

}  // namespace qtipd
