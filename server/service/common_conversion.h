// Between the engine's plain values and the messages of qtipd/v1/common.proto and server.proto.
#ifndef QTIPD_SERVER_SERVICE_COMMON_CONVERSION_H_
#define QTIPD_SERVER_SERVICE_COMMON_CONVERSION_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/map.h"
#include "google/protobuf/timestamp.pb.h"
#include "kernels/api/options.h"
#include "kernels/api/registry.h"
#include "qtipd/v1/common.pb.h"
#include "server/engine/types.h"

namespace qtipd {

v1::OptionValue ToProto(const OptionValue& value);
v1::Shape ToProto(const Shape& shape);
v1::Device ToProto(const DeviceStatus& device);
v1::BackendStatus ToProto(const BackendStatus& backend);
v1::Path ToProto(const InferencePath& path);
// `backend_ids`: the backends to look for, in the order in which they are reported.
v1::Format ToProto(const WeightFormat& format, const Registry& registry,
                   const std::vector<std::string>& backend_ids);
google::protobuf::Timestamp ToTimestamp(UnixMillis time);

using OptionMap = google::protobuf::Map<std::string, v1::OptionValue>;
void FillOptions(const Options& options, OptionMap& proto);
// Errors: InvalidArgument/OPTION_INVALID for an option without a value.
absl::StatusOr<std::map<std::string, OptionValue>> FromProto(const OptionMap& proto);

// Errors: InvalidArgument/FILE_SOURCE_INVALID, `field` named, if no location is set.
absl::StatusOr<FileSource> FromProto(const v1::FileSource& proto, const std::string& field);

// Errors: InvalidArgument/PAGE_SIZE_INVALID, PAGE_TOKEN_INVALID.
absl::StatusOr<PageRequest> ToPageRequest(int32_t page_size, const std::string& page_token);

}  // namespace qtipd

#endif  // QTIPD_SERVER_SERVICE_COMMON_CONVERSION_H_
