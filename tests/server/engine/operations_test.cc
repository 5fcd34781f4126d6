#include "server/engine/operations/operations.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "kernels/api/error.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_metrics.h"
#include "tests/fakes/temp_dir.h"

namespace qtipd {
namespace {

std::string Reason(const absl::Status& status) { return GetErrorInfo(status).reason; }

class OperationsTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open() {
    operations_.reset();
    history_.reset();
    history_ = *OpenSqliteHistory(directory_ / "history.sqlite");
    operations_ = std::make_unique<Operations>(*history_, metrics_, clock_);
    ASSERT_TRUE(operations_->Restore().ok());
  }
  std::string Create(const std::string& request_id = "", const std::string& spec = "") {
    return operations_->Create({"quantize", "w", "cpu", request_id, spec})->record.id;
  }
  OperationState StateOf(const std::string& id) { return operations_->Get(id)->state; }

  TempDir directory_;
  FakeClock clock_;
  FakeMetrics metrics_;
  std::unique_ptr<HistoryStore> history_;
  std::unique_ptr<Operations> operations_;
};

// Collects what a watch delivers; Wait returns once the terminal record is there.
class Collector {
 public:
  WatchHub::Callback callback() {
    return [this](const OperationRecord& record) {
      std::lock_guard lock(mutex_);
      records_.push_back(record);
      changed_.notify_all();
    };
  }
  std::vector<OperationRecord> Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !records_.empty() && IsTerminal(records_.back().state); });
    return records_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<OperationRecord> records_;
};

TEST_F(OperationsTest, GoesFromQueuedOverRunningToItsResult) {
  const std::string id = Create();
  EXPECT_EQ(StateOf(id), OperationState::kQueued);
  const auto progress = operations_->Begin(id);
  EXPECT_EQ(StateOf(id), OperationState::kRunning);
  progress->Report(0.5, "viterbi");
  EXPECT_EQ(operations_->Get(id)->progress, 0.5);
  EXPECT_EQ(operations_->Get(id)->stage, "viterbi");
  clock_.Advance(3);
  operations_->Finish(id, std::string("w"));
  const OperationRecord record = *operations_->Get(id);
  EXPECT_EQ(record.state, OperationState::kSucceeded);
  EXPECT_EQ(record.result, "w");
  EXPECT_EQ(record.progress, 1);
  EXPECT_EQ(record.update_time - record.create_time, 3000);
  EXPECT_EQ(metrics_.operations().size(), 1u);
}

TEST_F(OperationsTest, KeepsAnErrorWithItsReason) {
  const std::string id = Create();
  operations_->Begin(id);
  operations_->Finish(id, InvalidField("NON_FINITE", "tensor W", "NaN", "finite numbers"));
  Open();
  EXPECT_EQ(StateOf(id), OperationState::kFailed);
  EXPECT_EQ(Reason(operations_->Get(id)->error), "NON_FINITE");
}

TEST_F(OperationsTest, ProgressNeverGoesBackAndSmallStepsAreNoNews) {
  const std::string id = Create();
  const auto progress = operations_->Begin(id);
  progress->Report(0.5, "a");
  const uint64_t revision = operations_->Get(id)->revision;
  progress->Report(0.501, "a");
  EXPECT_EQ(operations_->Get(id)->revision, revision);
  progress->Report(0.2, "b");
  EXPECT_EQ(operations_->Get(id)->progress, 0.5);
  EXPECT_GT(operations_->Get(id)->revision, revision);
}

TEST_F(OperationsTest, WhatACrashCutOffIsInterrupted) {
  const std::string queued = Create();
  const std::string running = Create();
  operations_->Begin(running);
  Open();  // as after kill -9: nothing was told to end
  for (const std::string& id : {queued, running}) {
    EXPECT_EQ(StateOf(id), OperationState::kInterrupted);
    EXPECT_EQ(Reason(operations_->Get(id)->error), "INTERRUPTED");
  }
}

TEST_F(OperationsTest, CancellingWhatHasEndedChangesNothing) {
  const std::string id = Create();
  operations_->Begin(id);
  operations_->Finish(id, std::string("w"));
  EXPECT_TRUE(operations_->Cancel(id).ok());
  EXPECT_EQ(StateOf(id), OperationState::kSucceeded);
  EXPECT_EQ(Reason(operations_->Cancel("99")), "OPERATION_NOT_FOUND");
}

TEST_F(OperationsTest, ACancelledJobSeesIt) {
  const std::string id = Create();
  const auto progress = operations_->Begin(id);
  EXPECT_FALSE(progress->IsCancelled());
  ASSERT_TRUE(operations_->Cancel(id).ok());
  EXPECT_TRUE(progress->IsCancelled());
  EXPECT_EQ(StateOf(id), OperationState::kRunning);
  operations_->Finish(id, absl::CancelledError("at a tile"));
  EXPECT_EQ(StateOf(id), OperationState::kCancelled);
  EXPECT_EQ(Reason(operations_->Get(id)->error), "CANCELLED");
}

TEST_F(OperationsTest, ACancelledQueuedOneDoesNotBegin) {
  const std::string id = Create();
  ASSERT_TRUE(operations_->Cancel(id).ok());
  EXPECT_EQ(operations_->Begin(id), nullptr);
}

TEST_F(OperationsTest, ManyThreadsWithOneRequestIdStartOneOperation) {
  std::vector<std::string> ids(8);
  std::vector<std::thread> threads;
  for (std::string& id : ids) threads.emplace_back([&] { id = Create("key", "spec"); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ids, std::vector<std::string>(8, ids[0]));
  EXPECT_EQ(operations_->List({})->items.size(), 1u);
}

TEST_F(OperationsTest, ADiscardedOneIsForgottenWithItsRequestId) {
  const std::string id = Create("key", "spec");
  operations_->Discard(id);
  EXPECT_EQ(Reason(operations_->Get(id).status()), "OPERATION_NOT_FOUND");
  EXPECT_NE(Create("key", "other"), id);
}

TEST_F(OperationsTest, ListsLiveProgressNewestFirst) {
  const std::string first = Create();
  const std::string second = Create();
  operations_->Begin(first)->Report(0.25, "x");
  const auto page = operations_->List({});
  EXPECT_EQ(page->items.at(0).id, second);
  EXPECT_EQ(page->items.at(1).progress, 0.25);
}

// ---- Watching ----

TEST_F(OperationsTest, AWatchEndsWithTheTerminalRecord) {
  const std::string id = Create();
  Collector collector;
  const auto watch = operations_->Watch(id, collector.callback());
  const auto progress = operations_->Begin(id);
  for (int i = 1; i <= 10; ++i) progress->Report(0.1 * i, "x");
  operations_->Finish(id, std::string("w"));
  const std::vector<OperationRecord> records = collector.Wait();
  for (size_t i = 1; i < records.size(); ++i) {
    EXPECT_GT(records[i].revision, records[i - 1].revision);
  }
  EXPECT_EQ(records.back().result, "w");
}

TEST_F(OperationsTest, AWatchOfAnEndedOperationDeliversOnce) {
  const std::string id = Create();
  operations_->Begin(id);
  operations_->Finish(id, std::string("w"));
  Collector collector;
  const auto watch = operations_->Watch(id, collector.callback());
  EXPECT_EQ(collector.Wait().size(), 1u);
  EXPECT_EQ(Reason(operations_->Watch("99", collector.callback()).status()), "OPERATION_NOT_FOUND");
}

TEST_F(OperationsTest, NoCallbackRunsAfterUnsubscribing) {
  const std::string id = Create();
  const auto progress = operations_->Begin(id);
  for (int i = 0; i < 200; ++i) {
    auto gone = std::make_unique<int>(0);
    auto watch = operations_->Watch(id, [&gone](const OperationRecord&) { ++*gone; });
    progress->Report(0.001 * i * 5, "x");
    watch->reset();
    gone.reset();  // a late callback would crash
  }
}

TEST_F(OperationsTest, StopDeliversWhatIsPendingFirst) {
  const std::string id = Create();
  Collector collector;
  const auto watch = operations_->Watch(id, collector.callback());
  operations_->InterruptAll();
  operations_->Stop();
  EXPECT_EQ(collector.Wait().back().state, OperationState::kInterrupted);
  EXPECT_EQ(Reason(operations_->Create({}).status()), "SERVER_DRAINING");
}

TEST_F(OperationsTest, SubscriptionsMayOutliveTheOperations) {
  const std::string id = Create();
  auto watch = operations_->Watch(id, [](const OperationRecord&) {});
  operations_.reset();
  watch->reset();
}

}  // namespace
}  // namespace qtipd
