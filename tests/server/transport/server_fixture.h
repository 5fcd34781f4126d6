// A real gRPC server over a fake engine, on a free port, and a client's stubs.
#ifndef QTIPD_TESTS_SERVER_TRANSPORT_SERVER_FIXTURE_H_
#define QTIPD_TESTS_SERVER_TRANSPORT_SERVER_FIXTURE_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/error_details.h>
#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "google/longrunning/operations.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "qtipd/v1/qtip_service.grpc.pb.h"
#include "server/transport/grpc_server.h"
#include "tests/fakes/fake_engine.h"

namespace qtipd {

// Remembers "service/method type code" of every call that ended.
class FakeRpcMetrics final : public RpcMetrics {
 public:
  void RpcStarted(const RpcName&) override {
    std::lock_guard lock(mutex_);
    ++started_;
  }
  void RpcHandled(const RpcName& rpc, const std::string& code, double) override {
    std::lock_guard lock(mutex_);
    handled_.push_back(rpc.service + "/" + rpc.method + " " + rpc.type + " " + code);
  }
  int started() {
    std::lock_guard lock(mutex_);
    return started_;
  }
  std::vector<std::string> handled() {
    std::lock_guard lock(mutex_);
    return handled_;
  }

 private:
  std::mutex mutex_;
  int started_ = 0;
  std::vector<std::string> handled_;
};

// The details that a client decodes.
inline google::rpc::ErrorInfo InfoOf(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  EXPECT_TRUE(grpc::ExtractErrorDetails(status, &details).ok());
  EXPECT_EQ(details.code(), status.error_code());
  EXPECT_GE(details.details_size(), 1);
  if (details.details_size() > 0) {
    EXPECT_TRUE(details.details(0).UnpackTo(&info));
  }
  return info;
}

class ServerFixture : public testing::Test {
 protected:
  ServerFixture() {
    auto server = GrpcServer::Start(
        "127.0.0.1:0", RpcEnvironment{engine_, metrics_, SystemClock(), ServerFacts()});
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    server_->SetServing(true);
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    qtip_ = v1::QtipService::NewStub(channel_);
    operations_ = google::longrunning::Operations::NewStub(channel_);
  }

  static OperationRecord Operation(const std::string& id, OperationState state) {
    OperationRecord operation;
    operation.id = id;
    operation.kind = "quantize";
    operation.target = "w2";
    operation.result = "w2";
    operation.state = state;
    return operation;
  }

  FakeEngine engine_;
  FakeRpcMetrics metrics_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::QtipService::Stub> qtip_;
  std::unique_ptr<google::longrunning::Operations::Stub> operations_;
};

}  // namespace qtipd

#endif  // QTIPD_TESTS_SERVER_TRANSPORT_SERVER_FIXTURE_H_
