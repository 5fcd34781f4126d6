// Profiles as their messages.
#ifndef QTIPD_SERVER_SERVICE_PROFILE_CONVERSION_H_
#define QTIPD_SERVER_SERVICE_PROFILE_CONVERSION_H_

#include "qtipd/v1/profile.pb.h"
#include "server/engine/profile/profile_types.h"

namespace qtipd {

// With the stall reasons and the bottleneck that follow from the metrics.
v1::Profile ToProto(const ProfileRecord& record);

}  // namespace qtipd

#endif  // QTIPD_SERVER_SERVICE_PROFILE_CONVERSION_H_
