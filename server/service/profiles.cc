// GetProfile and ListProfiles.
#include "kernels/api/status.h"
#include "server/service/common_conversion.h"
#include "server/service/handlers.h"
#include "server/service/profile_conversion.h"

namespace qtipd {

absl::StatusOr<v1::Profile> GetProfile(Engine& engine, const v1::GetProfileRequest& request,
                                       const CallContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const ProfileRecord record, engine.GetProfile(request.id()));
  return ToProto(record);
}

absl::StatusOr<v1::ListProfilesResponse> ListProfiles(Engine& engine,
                                                      const v1::ListProfilesRequest& request,
                                                      const CallContext& context) {
  QTIPD_ASSIGN_OR_RETURN(const PageRequest page,
                         ToPageRequest(request.page_size(), request.page_token()));
  QTIPD_ASSIGN_OR_RETURN(const Page<ProfileRecord> found, engine.ListProfiles(page));
  v1::ListProfilesResponse response;
  for (const ProfileRecord& record : found.items) *response.add_profiles() = ToProto(record);
  response.set_next_page_token(found.next_page_token);
  return response;
}

}  // namespace qtipd
