// WatchOperation and WaitOperation.
#include <gtest/gtest.h>

#include <chrono>

#include "qtipd/v1/operation.pb.h"
#include "tests/server/transport/server_fixture.h"

namespace qtipd {
namespace {

using google::longrunning::WaitOperationRequest;
using ProtoOperation = google::longrunning::Operation;

std::chrono::system_clock::time_point In(std::chrono::milliseconds time) {
  return std::chrono::system_clock::now() + time;
}

class WatchOperation : public ServerFixture {
 protected:
  std::unique_ptr<grpc::ClientReader<ProtoOperation>> Watch(const std::string& name) {
    v1::WatchOperationRequest request;
    request.set_name(name);
    return qtip_->WatchOperation(&context_, request);
  }

  static double Progress(const ProtoOperation& operation) {
    v1::OperationMetadata metadata;
    EXPECT_TRUE(operation.metadata().UnpackTo(&metadata));
    return metadata.progress();
  }

  grpc::ClientContext context_;
  ProtoOperation message_;
};

TEST_F(WatchOperation, StreamsChangesAndEndsWithTheLast) {
  OperationRecord operation = Operation("1", OperationState::kRunning);
  engine_.SetOperation(operation);
  engine_.artifacts["w2"].name = "w2";
  const auto reader = Watch("operations/1");
  ASSERT_TRUE(reader->Read(&message_));
  EXPECT_FALSE(message_.done());
  operation.progress = 0.5;
  engine_.SetOperation(operation);
  ASSERT_TRUE(reader->Read(&message_));
  EXPECT_EQ(Progress(message_), 0.5);
  operation.state = OperationState::kSucceeded;
  engine_.SetOperation(operation);
  while (reader->Read(&message_) && !message_.done()) {
  }
  ASSERT_TRUE(message_.done());
  v1::Artifact artifact;
  ASSERT_TRUE(message_.response().UnpackTo(&artifact));
  EXPECT_EQ(artifact.name(), "w2");
  EXPECT_FALSE(reader->Read(&message_));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(WatchOperation, MergesUpdatesThatASlowClientDoesNotRead) {
  OperationRecord operation = Operation("1", OperationState::kRunning);
  operation.stage = std::string(10'000, 's');  // 1000 of them exceed the flow-control window
  engine_.SetOperation(operation);
  const auto reader = Watch("operations/1");
  engine_.WaitForWatchers(1);
  for (int i = 1; i <= 1000; ++i) {
    operation.progress = i / 1000.0;
    if (i == 1000) operation.state = OperationState::kFailed;
    engine_.SetOperation(operation);
  }
  int count = 0;
  double last = 0;
  while (reader->Read(&message_)) {
    ++count;
    EXPECT_GE(Progress(message_), last);
    last = Progress(message_);
  }
  EXPECT_EQ(last, 1.0);
  EXPECT_LT(count, 1000);
  EXPECT_TRUE(message_.done());
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(WatchOperation, ACancelledWatchLetsTheEngineGo) {
  engine_.SetOperation(Operation("1", OperationState::kRunning));
  const auto reader = Watch("operations/1");
  ASSERT_TRUE(reader->Read(&message_));
  context_.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  engine_.WaitForWatchers(0);
  EXPECT_TRUE(engine_.cancelled.empty());  // the operation itself goes on
}

TEST_F(WatchOperation, ADeadlineEndsTheWatch) {
  engine_.SetOperation(Operation("1", OperationState::kRunning));
  context_.set_deadline(In(std::chrono::milliseconds(100)));
  const auto reader = Watch("operations/1");
  while (reader->Read(&message_)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  engine_.WaitForWatchers(0);
}

TEST_F(WatchOperation, AnUnknownOperationIsAnError) {
  const auto reader = Watch("operations/9");
  EXPECT_FALSE(reader->Read(&message_));
  EXPECT_EQ(InfoOf(reader->Finish()).reason(), "OPERATION_NOT_FOUND");
}

TEST_F(WatchOperation, ManyWatchesHoldNoThread) {
  engine_.SetOperation(Operation("1", OperationState::kRunning));
  constexpr int kWatches = 64;  // gRPC has 2 callback threads on a small machine
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<ProtoOperation>>> readers;
  v1::WatchOperationRequest request;
  request.set_name("operations/1");
  for (int i = 0; i < kWatches; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(qtip_->WatchOperation(contexts.back().get(), request));
    ASSERT_TRUE(readers.back()->Read(&message_));
  }
  grpc::ClientContext context;
  context.set_deadline(In(std::chrono::seconds(10)));
  v1::ListPathsResponse response;
  EXPECT_TRUE(qtip_->ListPaths(&context, {}, &response).ok());
  engine_.SetOperation(Operation("1", OperationState::kSucceeded));
  for (auto& reader : readers) {
    while (reader->Read(&message_)) {
    }
    EXPECT_TRUE(reader->Finish().ok());
  }
}

class WaitOperation : public ServerFixture {
 protected:
  grpc::Status Wait(const WaitOperationRequest& request) {
    return operations_->WaitOperation(&context_, request, &response_);
  }
  static WaitOperationRequest For(const std::string& name) {
    WaitOperationRequest request;
    request.set_name(name);
    return request;
  }

  grpc::ClientContext context_;
  ProtoOperation response_;
};

TEST_F(WaitOperation, AnswersWhenTheOperationIsDone) {
  engine_.SetOperation(Operation("1", OperationState::kRunning));
  std::thread finisher([this] {
    engine_.WaitForWatchers(1);
    engine_.SetOperation(Operation("1", OperationState::kSucceeded));
  });
  EXPECT_TRUE(Wait(For("operations/1")).ok());
  EXPECT_TRUE(response_.done());
  finisher.join();
}

TEST_F(WaitOperation, AnswersWithTheRunningOperationWhenTheTimeIsUp) {
  engine_.SetOperation(Operation("1", OperationState::kRunning));
  WaitOperationRequest request = For("operations/1");
  request.mutable_timeout()->set_nanos(50'000'000);
  EXPECT_TRUE(Wait(request).ok());
  EXPECT_FALSE(response_.done());
  EXPECT_EQ(response_.name(), "operations/1");
  engine_.WaitForWatchers(0);
}

TEST_F(WaitOperation, ADoneOperationIsAnsweredWithinALongTimeout) {
  engine_.SetOperation(Operation("1", OperationState::kSucceeded));
  WaitOperationRequest request = For("operations/1");
  request.mutable_timeout()->set_seconds(std::numeric_limits<int64_t>::max());
  EXPECT_TRUE(Wait(request).ok());
  EXPECT_TRUE(response_.done());
}

TEST_F(WaitOperation, TheClientsDeadlineEndsIt) {
  engine_.SetOperation(Operation("1", OperationState::kRunning));
  context_.set_deadline(In(std::chrono::milliseconds(50)));
  EXPECT_EQ(Wait(For("operations/1")).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  engine_.WaitForWatchers(0);
}

TEST_F(WaitOperation, RefusesATimeBeforeNow) {
  engine_.SetOperation(Operation("1", OperationState::kRunning));
  WaitOperationRequest request = For("operations/1");
  request.mutable_timeout()->set_seconds(-1);
  EXPECT_EQ(InfoOf(Wait(request)).reason(), "WAIT_TIMEOUT_INVALID");
}

TEST_F(WaitOperation, AnUnknownOperationIsAnError) {
  EXPECT_EQ(InfoOf(Wait(For("operations/9"))).reason(), "OPERATION_NOT_FOUND");
}

}  // namespace
}  // namespace qtipd
