#include "client/rpc_status.h"

#include <map>

#include "absl/strings/cord.h"
#include "google/rpc/error_details.pb.h"
#include "kernels/api/error.h"

namespace qtipd {
namespace {

constexpr char kErrorDomain[] = "qtipd.dev";
constexpr char kRpcStatusUrl[] = "type.googleapis.com/google.rpc.Status";

absl::Status WithReason(const google::rpc::Status& proto) {
  const auto code = static_cast<absl::StatusCode>(proto.code());
  for (const google::protobuf::Any& detail : proto.details()) {
    google::rpc::ErrorInfo info;
    if (!detail.UnpackTo(&info)) continue;
    return MakeError(code, info.reason(), proto.message(),
                     {info.metadata().begin(), info.metadata().end()});
  }
  return absl::Status(code, proto.message());
}

}  // namespace

absl::Status UsageError(std::string_view field, std::string_view got, std::string_view allowed) {
  return InvalidField("USAGE", field, got, allowed);
}

absl::Status FromRpcStatus(const google::rpc::Status& proto) {
  if (proto.code() == 0) return absl::OkStatus();
  absl::Status status = WithReason(proto);
  status.SetPayload(kRpcStatusUrl, absl::Cord(proto.SerializeAsString()));
  return status;
}

absl::Status FromGrpc(const grpc::Status& status, const std::string& target) {
  if (status.ok()) return absl::OkStatus();
  google::rpc::Status proto;
  if (!status.error_details().empty() && proto.ParseFromString(status.error_details())) {
    return FromRpcStatus(proto);
  }
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  if (code == absl::StatusCode::kUnavailable) {
    return FieldError(code, "TARGET_UNREACHABLE", "target", target,
                      "a running qtipd (" + status.error_message() + ")");
  }
  if (code == absl::StatusCode::kDeadlineExceeded) {
    return FieldError(code, "DEADLINE_EXCEEDED", "timeout", "no answer from " + target + " in time",
                      "a longer --timeout");
  }
  // A qtipd says METHOD_UNKNOWN with details; gRPC itself makes this code of an HTTP 404.
  if (code == absl::StatusCode::kUnimplemented) {
    return FieldError(code, "TARGET_NOT_QTIPD", "target", target,
                      "the gRPC address of a qtipd (" + status.error_message() + ")");
  }
  return absl::Status(code, status.error_message());
}

google::rpc::Status ToRpcStatus(const absl::Status& status) {
  google::rpc::Status proto;
  const auto payload = status.GetPayload(kRpcStatusUrl);
  if (payload && proto.ParseFromString(std::string(*payload))) return proto;
  proto.set_code(static_cast<int>(status.code()));
  proto.set_message(std::string(status.message()));
  const ErrorInfo error = GetErrorInfo(status);
  google::rpc::ErrorInfo info;
  info.set_reason(error.reason);
  info.set_domain(kErrorDomain);
  info.mutable_metadata()->insert(error.metadata.begin(), error.metadata.end());
  proto.add_details()->PackFrom(info);
  return proto;
}

std::string ErrorLine(const absl::Status& status) {
  std::string line = "error: " + GetErrorInfo(status).reason + ": " + std::string(status.message());
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return line;
}

}  // namespace qtipd
