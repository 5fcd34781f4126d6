// GetRun and ListRuns.
#include "kernels/api/status.h"
#include "server/service/common_conversion.h"
#include "server/service/handlers.h"
#include "server/service/run_conversion.h"

namespace qtipd {

absl::StatusOr<v1::Run> GetRun(Engine& engine, const v1::GetRunRequest& request,
                               const CallContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const RunRecord record, engine.GetRun(request.id()));
  return ToProto(record, Samples::kKeep);
}

absl::StatusOr<v1::ListRunsResponse> ListRuns(Engine& engine, const v1::ListRunsRequest& request,
                                              const CallContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const PageRequest page,
                         ToPageRequest(request.page_size(), request.page_token()));
  QTIPD_ASSIGN_OR_RETURN(const Page<RunRecord> found, engine.ListRuns(page));
  v1::ListRunsResponse response;
  for (const RunRecord& record : found.items) {
    *response.add_runs() = ToProto(record, Samples::kLeaveOut);
  }
  response.set_next_page_token(found.next_page_token);
  return response;
}

}  // namespace qtipd
