// absl::Status as grpc::Status, with google.rpc details (AIP-193).
#ifndef QTIPD_SERVER_TRANSPORT_STATUS_CONVERSION_H_
#define QTIPD_SERVER_TRANSPORT_STATUS_CONVERSION_H_

#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace qtipd {

// The codes are equal by number. The details hold a serialized google.rpc.Status with an ErrorInfo
// of domain "qtipd.dev"; texts are cut as server/service/status_proto.h says.
grpc::Status ToGrpc(const absl::Status& status);

// The code's name as go-grpc writes it, for the label `grpc_code`: "OK", "InvalidArgument", ...
std::string GrpcCodeName(grpc::StatusCode code);

}  // namespace qtipd

#endif  // QTIPD_SERVER_TRANSPORT_STATUS_CONVERSION_H_
