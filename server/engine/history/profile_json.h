// Profiles as JSON text, for the history.
#ifndef QTIPD_SERVER_ENGINE_HISTORY_PROFILE_JSON_H_
#define QTIPD_SERVER_ENGINE_HISTORY_PROFILE_JSON_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/engine/profile/profile_types.h"

namespace qtipd {

// Without id and data. Lossless. Errors: DataLoss/HISTORY_RECORD_DAMAGED.
std::string ProfileToJson(const ProfileRecord& profile);
absl::StatusOr<ProfileRecord> ProfileFromJson(const std::string& text);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HISTORY_PROFILE_JSON_H_
