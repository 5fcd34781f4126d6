// The server around the services: addresses, health, reflection, end.
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <atomic>

#include "grpc/health/v1/health.grpc.pb.h"
#include "kernels/api/error.h"
#include "server/transport/io_pool.h"
#include "server/transport/listen_address.h"
#include "server/transport/status_conversion.h"
#include "tests/server/transport/server_fixture.h"

namespace qtipd {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

class Server : public ServerFixture {
 protected:
  // "OK" or the reason why a second server cannot listen there.
  std::string StartReason(const std::string& listen) {
    const auto server =
        GrpcServer::Start(listen, RpcEnvironment{engine_, metrics_, SystemClock(), ServerFacts()});
    return server.ok() ? "OK" : GetErrorInfo(server.status()).reason;
  }

  HealthCheckResponse::ServingStatus Check(const std::string& service) {
    grpc::ClientContext context;
    HealthCheckRequest request;
    request.set_service(service);
    HealthCheckResponse response;
    EXPECT_TRUE(Health::NewStub(channel_)->Check(&context, request, &response).ok()) << service;
    return response.status();
  }
};

TEST_F(Server, HealthChecksEveryServiceByName) {
  for (const char* service : {"", "qtipd.v1.QtipService", "google.longrunning.Operations"}) {
    EXPECT_EQ(Check(service), HealthCheckResponse::SERVING) << service;
  }
  server_->SetServing(false);
  for (const char* service : {"", "qtipd.v1.QtipService", "google.longrunning.Operations"}) {
    EXPECT_EQ(Check(service), HealthCheckResponse::NOT_SERVING) << service;
  }
}

TEST_F(Server, HealthDoesNotKnowOtherServices) {
  grpc::ClientContext context;
  HealthCheckRequest request;
  request.set_service("nonsense");
  HealthCheckResponse response;
  EXPECT_EQ(Health::NewStub(channel_)->Check(&context, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(Server, HealthWatchersAreTold) {
  grpc::ClientContext context;
  HealthCheckRequest request;
  request.set_service("qtipd.v1.QtipService");
  const auto reader = Health::NewStub(channel_)->Watch(&context, request);
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  server_->SetServing(false);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

// ServerReflectionRequest{list_services: ""} by its wire format: Debian ships no generated header.
TEST_F(Server, ReflectionListsTheServices) {
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  void* tag = nullptr;
  bool ok = false;
  const auto call = stub.PrepareCall(
      &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  call->StartCall(nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  grpc::Slice request(std::string("\x3a\x00", 2));
  call->WriteLast(grpc::ByteBuffer(&request, 1), grpc::WriteOptions(), nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  grpc::ByteBuffer response;
  call->Read(&response, nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  grpc::Slice slice;
  ASSERT_TRUE(response.DumpToSingleSlice(&slice).ok());
  const std::string text(reinterpret_cast<const char*>(slice.begin()), slice.size());
  for (const char* service :
       {"qtipd.v1.QtipService", "google.longrunning.Operations", "grpc.health.v1.Health"}) {
    EXPECT_NE(text.find(service), text.npos) << service;
  }
  grpc::Status status;
  call->Finish(&status, nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_TRUE(status.ok());
}

TEST_F(Server, APortInUseIsAnErrorWithTheAddress) {
  const auto second = GrpcServer::Start(
      server_->address(), RpcEnvironment{engine_, metrics_, SystemClock(), ServerFacts()});
  ASSERT_FALSE(second.ok());
  ErrorInfo info = GetErrorInfo(second.status());
  EXPECT_EQ(info.reason, "PORT_IN_USE");
  EXPECT_EQ(info.metadata["got"], server_->address());
}

TEST_F(Server, AnAddressOfNoInterfaceIsAnError) {
  // 127.0.0.0/8 is all local on Linux; an unresolvable address is the case left.
  EXPECT_EQ(StartReason("127.0.0.999:0"), "LISTEN_FAILED");
}

TEST_F(Server, GrpcIsForThisMachineAloneWithoutTls) {
  for (const char* listen : {"0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.org:0", "127.evil:0"}) {
    EXPECT_EQ(StartReason(listen), "TLS_REQUIRED") << listen;
  }
  EXPECT_EQ(StartReason("localhost:0"), "OK");
}

TEST_F(Server, NewCallsFailOnceItHasStopped) {
  server_->Stop(std::chrono::milliseconds(0));
  grpc::ClientContext context;
  v1::ListPathsResponse response;
  EXPECT_EQ(qtip_->ListPaths(&context, {}, &response).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(Server, StopEndsWatchesThatAreOpen) {
  engine_.SetOperation(Operation("1", OperationState::kRunning));
  grpc::ClientContext context;
  v1::WatchOperationRequest request;
  request.set_name("operations/1");
  const auto reader = qtip_->WatchOperation(&context, request);
  google::longrunning::Operation operation;
  ASSERT_TRUE(reader->Read(&operation));
  server_->Stop(std::chrono::milliseconds(10));
  EXPECT_EQ(engine_.watcher_count(), 0);
  EXPECT_FALSE(reader->Finish().ok());
}

TEST(ListenAddress, ReadsHostsAndPorts) {
  EXPECT_EQ(ParseListenAddress("127.0.0.1:7070", "listen")->port, 7070);
  EXPECT_EQ(ParseListenAddress("[::1]:0", "listen")->host, "::1");
  EXPECT_EQ(ParseListenAddress("[::1]:80", "listen")->Text(), "[::1]:80");
  EXPECT_EQ(ParseListenAddress("localhost:1", "listen")->Text(), "127.0.0.1:1");
  for (const char* text : {"", "7070", ":7070", "host:", "host:x", "host:65536", "host:-1",
                           "::1:80", "[]:80", "[host]:80", "host:80 "}) {
    const absl::Status status = ParseListenAddress(text, "listen").status();
    EXPECT_EQ(GetErrorInfo(status).reason, "ADDRESS_INVALID") << text;
    EXPECT_EQ(GetErrorInfo(status).metadata["field"], "listen");
  }
}

TEST(GrpcCodeName, SpeaksAsGoDoes) {
  EXPECT_EQ(GrpcCodeName(grpc::StatusCode::OK), "OK");
  EXPECT_EQ(GrpcCodeName(grpc::StatusCode::CANCELLED), "Canceled");
  EXPECT_EQ(GrpcCodeName(grpc::StatusCode::DATA_LOSS), "DataLoss");
  EXPECT_EQ(GrpcCodeName(grpc::StatusCode::UNAUTHENTICATED), "Unauthenticated");
  EXPECT_EQ(GrpcCodeName(static_cast<grpc::StatusCode>(99)), "Unknown");
}

TEST(IoPool, RunsEveryTaskBeforeItEnds) {
  std::atomic<int> count = 0;
  {
    IoPool pool(2);
    for (int i = 0; i < 1000; ++i) pool.Post([&count] { ++count; });
  }
  EXPECT_EQ(count, 1000);
}

}  // namespace
}  // namespace qtipd
