#include "client/rpc_status.h"

#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "kernels/api/error.h"

namespace qtipd {
namespace {

google::rpc::Status ServerError() {
  google::rpc::Status proto;
  proto.set_code(3);
  proto.set_message("bits: got 9, allowed 2, 3, 4");
  google::rpc::ErrorInfo info;
  info.set_reason("OPTION_INVALID");
  info.set_domain("qtipd.dev");
  (*info.mutable_metadata())["field"] = "bits";
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(5);
  proto.add_details()->PackFrom(retry);
  proto.add_details()->PackFrom(info);
  return proto;
}

TEST(FromGrpc, TakesTheReasonFromTheDetails) {
  const google::rpc::Status proto = ServerError();
  const absl::Status status =
      FromGrpc(grpc::Status(grpc::INVALID_ARGUMENT, "short", proto.SerializeAsString()), "h:1");
  EXPECT_EQ(ErrorLine(status), "error: OPTION_INVALID: bits: got 9, allowed 2, 3, 4");
  EXPECT_EQ(GetErrorInfo(status).metadata["field"], "bits");
}

TEST(FromGrpc, NamesATargetThatIsGone) {
  const absl::Status status = FromGrpc(grpc::Status(grpc::UNAVAILABLE, "refused"), "h:1");
  EXPECT_EQ(ErrorLine(status),
            "error: TARGET_UNREACHABLE: target: got h:1, allowed a running qtipd (refused)");
}

TEST(FromGrpc, NamesTheTimeoutThatPassed) {
  const absl::Status status = FromGrpc(grpc::Status(grpc::DEADLINE_EXCEEDED, "x"), "h:1");
  EXPECT_EQ(GetErrorInfo(status).reason, "DEADLINE_EXCEEDED");
}

TEST(FromGrpc, GivesAReasonToAServerThatSendsNone) {
  const absl::Status status = FromGrpc(grpc::Status(grpc::DATA_LOSS, "lost"), "h:1");
  EXPECT_EQ(ErrorLine(status), "error: DATA_LOSS: lost");
}

TEST(FromGrpc, NamesATargetThatIsNoQtipd) {
  const absl::Status status = FromGrpc(grpc::Status(grpc::UNIMPLEMENTED, "HTTP 404"), "h:1");
  EXPECT_EQ(ErrorLine(status),
            "error: TARGET_NOT_QTIPD: target: got h:1, allowed the gRPC address of a qtipd "
            "(HTTP 404)");
}

TEST(ToRpcStatus, KeepsEveryDetailOfTheServer) {
  const google::rpc::Status proto = ServerError();
  EXPECT_EQ(ToRpcStatus(FromRpcStatus(proto)).SerializeAsString(), proto.SerializeAsString());
}

TEST(ToRpcStatus, DescribesALocalError) {
  const google::rpc::Status proto = ToRpcStatus(UsageError("--seed", "'x'", "a number"));
  google::rpc::ErrorInfo info;
  ASSERT_EQ(proto.details_size(), 1);
  ASSERT_TRUE(proto.details(0).UnpackTo(&info));
  EXPECT_EQ(info.reason(), "USAGE");
  EXPECT_EQ(info.domain(), "qtipd.dev");
  EXPECT_EQ(info.metadata().at("got"), "'x'");
}

TEST(ErrorLine, StaysOneLine) {
  EXPECT_EQ(ErrorLine(MakeError(absl::StatusCode::kInternal, "X", "a\nb\tc")), "error: X: a b c");
}

TEST(FromRpcStatus, IsOkWithoutACode) { EXPECT_TRUE(FromRpcStatus(google::rpc::Status()).ok()); }

}  // namespace
}  // namespace qtipd
