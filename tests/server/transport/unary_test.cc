// What every unary call has: errors with details, metrics, deadlines.
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "tests/server/transport/server_fixture.h"

namespace qtipd {
namespace {

using Unary = ServerFixture;

TEST_F(Unary, AnswersAndCountsTheCall) {
  engine_.artifacts["w2"].name = "w2";
  grpc::ClientContext context;
  v1::GetArtifactRequest request;
  request.set_name("w2");
  v1::Artifact artifact;
  ASSERT_TRUE(qtip_->GetArtifact(&context, request, &artifact).ok());
  EXPECT_EQ(artifact.name(), "w2");
  EXPECT_EQ(metrics_.started(), 1);
  EXPECT_EQ(metrics_.handled(),
            std::vector<std::string>{"qtipd.v1.QtipService/GetArtifact unary OK"});
}

TEST_F(Unary, ErrorsDecodeAsErrorInfo) {
  grpc::ClientContext context;
  v1::GetArtifactRequest request;
  request.set_name("none");
  v1::Artifact artifact;
  const grpc::Status status = qtip_->GetArtifact(&context, request, &artifact);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  const auto info = InfoOf(status);
  EXPECT_EQ(info.reason(), "ARTIFACT_NOT_FOUND");
  EXPECT_EQ(info.domain(), "qtipd.dev");
  EXPECT_EQ(info.metadata().at("name"), "none");
  EXPECT_EQ(metrics_.handled(),
            std::vector<std::string>{"qtipd.v1.QtipService/GetArtifact unary NotFound"});
}

TEST_F(Unary, AnErrorAboutAHugeNameStillArrives) {
  grpc::ClientContext context;
  v1::GetArtifactRequest request;
  request.set_name(std::string(1 << 20, 'x'));
  v1::Artifact artifact;
  const grpc::Status status = qtip_->GetArtifact(&context, request, &artifact);
  EXPECT_EQ(InfoOf(status).reason(), "ARTIFACT_NOT_FOUND");
}

TEST_F(Unary, MethodsThatDoNotExistHaveAReasonToo) {
  const auto stub = std::make_unique<grpc::GenericStub>(channel_);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  grpc::ByteBuffer response;
  grpc::Status status;
  const auto call = stub->PrepareUnaryCall(&context, "/qtipd.v1.QtipService/Nonsense",
                                           grpc::ByteBuffer(), &queue);
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(InfoOf(status).reason(), "METHOD_UNKNOWN");
}

TEST_F(Unary, EveryRpcOfTheServicesIsServed) {
  for (const char* method : {"/qtipd.v1.QtipService/GetServerInfo",
                             "/qtipd.v1.QtipService/ListDevices",
                             "/qtipd.v1.QtipService/ListFormats",
                             "/qtipd.v1.QtipService/ListPaths",
                             "/qtipd.v1.QtipService/StartQuantize",
                             "/qtipd.v1.QtipService/StartImport",
                             "/qtipd.v1.QtipService/StartLoadArtifact",
                             "/qtipd.v1.QtipService/StartUnloadArtifact",
                             "/qtipd.v1.QtipService/StartBenchmark",
                             "/qtipd.v1.QtipService/GetArtifact",
                             "/qtipd.v1.QtipService/ListArtifacts",
                             "/qtipd.v1.QtipService/DeleteArtifact",
                             "/qtipd.v1.QtipService/GetRun",
                             "/qtipd.v1.QtipService/ListRuns",
                             "/qtipd.v1.QtipService/StartProfile",
                             "/qtipd.v1.QtipService/GetProfile",
                             "/qtipd.v1.QtipService/ListProfiles",
                             "/qtipd.v1.QtipService/ListMetrics",
                             "/qtipd.v1.QtipService/RunDoctor",
                             "/google.longrunning.Operations/GetOperation",
                             "/google.longrunning.Operations/ListOperations",
                             "/google.longrunning.Operations/CancelOperation",
                             "/google.longrunning.Operations/DeleteOperation",
                             "/google.longrunning.Operations/WaitOperation"}) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    grpc::Slice empty("");
    grpc::ByteBuffer response;
    grpc::Status status;
    const auto call = stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(&empty, 1), &queue);
    call->StartCall();
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    ASSERT_TRUE(queue.Next(&tag, &ok));
    EXPECT_NE(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << method;
  }
}

TEST_F(Unary, ACallThatBlocksIsAnsweredAndCountedAsTheOthers) {
  engine_.catalogue = MetricCatalogue{"GH100", {{"sm__cycles", "cycles"}}, {}, {}, 0};
  v1::ListMetricsResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(qtip_->ListMetrics(&context, {}, &response).ok());
  EXPECT_EQ(response.metrics(0).name(), "sm__cycles");
  engine_.catalogue =
      MakeError(absl::StatusCode::kFailedPrecondition, "CUPTI_NOT_FOUND", "install it");
  grpc::ClientContext another;
  EXPECT_EQ(InfoOf(qtip_->ListMetrics(&another, {}, &response)).reason(), "CUPTI_NOT_FOUND");
  EXPECT_EQ(metrics_.handled(), (std::vector<std::string>{
                                    "qtipd.v1.QtipService/ListMetrics unary OK",
                                    "qtipd.v1.QtipService/ListMetrics unary FailedPrecondition"}));
}

TEST_F(Unary, ACallThatBlocksSeesItsClientGo) {
  std::promise<void> asked;
  std::promise<void> ended;
  engine_.on_catalogue = [&](const std::function<bool()>& is_cancelled) {
    asked.set_value();
    while (!is_cancelled()) std::this_thread::yield();
    ended.set_value();
  };
  grpc::ClientContext context;
  std::thread client([&] {
    v1::ListMetricsResponse response;
    EXPECT_EQ(qtip_->ListMetrics(&context, {}, &response).error_code(),
              grpc::StatusCode::CANCELLED);
  });
  asked.get_future().wait();
  context.TryCancel();
  client.join();
  ended.get_future().wait();
}

TEST_F(Unary, AMessageOverTheLimitIsRefused) {
  grpc::ClientContext context;
  v1::GetArtifactRequest request;
  request.set_name(std::string(17 << 20, 'x'));
  v1::Artifact artifact;
  EXPECT_EQ(qtip_->GetArtifact(&context, request, &artifact).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace qtipd
