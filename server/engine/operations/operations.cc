#include "server/engine/operations/operations.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "server/base/log_text.h"
#include "spdlog/spdlog.h"

namespace qtipd {
namespace {

constexpr UnixMillis kRequestLife = 24 * 3600 * UnixMillis{1000};
constexpr int64_t kMostEnded = 10000;  // ended operations that are remembered
constexpr int64_t kPruneEvery = 100;
// Smaller steps of progress within a stage are not worth a message.
constexpr double kProgressStep = 0.0025;

absl::Status Interrupted() {
  return MakeError(absl::StatusCode::kAborted, "INTERRUPTED",
                   "the daemon ended before the operation did");
}

absl::Status CancelledByUser() {
  return MakeError(absl::StatusCode::kCancelled, "CANCELLED", "the operation was cancelled");
}

}  // namespace

class Operations::Token final : public Progress {
 public:
  Token(Operations& operations, std::string id) : operations_(operations), id_(std::move(id)) {}
  void Report(double fraction, std::string_view stage) override {
    operations_.Report(id_, fraction, stage);
  }
  bool IsCancelled() const override { return is_cancelled_; }
  void Cancel() { is_cancelled_ = true; }

 private:
  Operations& operations_;
  const std::string id_;
  std::atomic<bool> is_cancelled_{false};
};

Operations::Operations(HistoryStore& history, MetricsSink& metrics, Clock& clock)
    : history_(history), metrics_(metrics), clock_(clock) {}

Operations::~Operations() { Stop(); }

void Operations::TouchLocked(OperationRecord& record) {
  record.update_time = clock_.NowUnixMillis();
  ++record.revision;
}

absl::Status Operations::Restore() {
  QTIPD_ASSIGN_OR_RETURN(std::vector<OperationRecord> unfinished, history_.UnfinishedOperations());
  std::lock_guard lock(mutex_);
  for (OperationRecord& record : unfinished) {
    record.state = OperationState::kInterrupted;
    record.error = Interrupted();
    TouchLocked(record);
    QTIPD_RETURN_IF_ERROR(history_.UpdateOperation(record));
    spdlog::warn("operation_interrupted operation={} kind={}", record.id, record.kind);
  }
  return history_.Prune(clock_.NowUnixMillis() - kRequestLife, kMostEnded);
}

absl::StatusOr<std::optional<OperationRecord>> Operations::FindStarted(
    const OperationRequest& request) {
  if (request.request_id.empty()) return std::optional<OperationRecord>();
  QTIPD_ASSIGN_OR_RETURN(
      const std::optional<KnownRequest> known,
      history_.FindRequest(request.request_id, clock_.NowUnixMillis() - kRequestLife));
  if (!known) return std::optional<OperationRecord>();
  if (known->spec_sha256 != request.spec_sha256) {
    return FieldError(
        absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED", "request_id", request.request_id,
        "a new one: operation " + known->operation_id + " was started with it by another request");
  }
  QTIPD_ASSIGN_OR_RETURN(OperationRecord record, Get(known->operation_id));
  return std::optional(std::move(record));
}

absl::StatusOr<Operations::Created> Operations::Create(const OperationRequest& request) {
  std::lock_guard create_lock(create_mutex_);
  QTIPD_ASSIGN_OR_RETURN(std::optional<OperationRecord> started, FindStarted(request));
  if (started) return Created{*std::move(started), false};
  OperationRecord record;
  record.kind = request.kind;
  record.target = request.target;
  record.device = request.device;
  record.create_time = clock_.NowUnixMillis();
  std::lock_guard lock(mutex_);
  if (is_stopping_) {
    return MakeError(absl::StatusCode::kUnavailable, "SERVER_DRAINING", "the daemon is stopping");
  }
  TouchLocked(record);
  QTIPD_ASSIGN_OR_RETURN(
      record.id, history_.InsertOperation(
                     record, {request.request_id, request.spec_sha256, record.create_time}));
  live_[record.id] = Live{record, std::make_shared<Token>(*this, record.id), 0};
  if (++created_ % kPruneEvery == 0) {
    const absl::Status pruned = history_.Prune(record.create_time - kRequestLife, kMostEnded);
    if (!pruned.ok()) spdlog::error("history_prune_failed {}", LogStatus(pruned));
  }
  return Created{record, true};
}

void Operations::Discard(const std::string& id) {
  std::lock_guard lock(mutex_);
  live_.erase(id);
  const absl::Status status = history_.DeleteOperation(id);
  if (!status.ok())
    spdlog::error("operation_discard_failed operation={} {}", id, LogStatus(status));
}

std::shared_ptr<Progress> Operations::Begin(const std::string& id) {
  std::lock_guard lock(mutex_);
  const auto live = live_.find(id);
  if (live == live_.end()) return nullptr;
  OperationRecord& record = live->second.record;
  record.state = OperationState::kRunning;
  TouchLocked(record);
  live->second.begin_seconds = clock_.MonotonicSeconds();
  // Should this write be lost, the operation still ends as INTERRUPTED after a crash.
  const absl::Status status = history_.UpdateOperation(record);
  if (!status.ok()) spdlog::error("operation_store_failed operation={} {}", id, LogStatus(status));
  hub_.Publish(record);
  return live->second.token;
}

void Operations::Report(const std::string& id, double fraction, std::string_view stage) {
  std::lock_guard lock(mutex_);
  const auto live = live_.find(id);
  if (live == live_.end()) return;
  OperationRecord& record = live->second.record;
  fraction = std::clamp(fraction, 0.0, 1.0);
  if (record.stage == stage && std::abs(fraction - record.progress) < kProgressStep) return;
  record.progress = std::max(record.progress, fraction);
  record.stage = stage;
  TouchLocked(record);
  hub_.Publish(record);
}

void Operations::Finish(const std::string& id, const absl::StatusOr<std::string>& result) {
  std::lock_guard lock(mutex_);
  const auto live = live_.find(id);
  if (live == live_.end()) return;
  if (result.ok()) {
    live->second.record.progress = 1;
    EndLocked(live, OperationState::kSucceeded, absl::OkStatus(), *result);
  } else if (!absl::IsCancelled(result.status())) {
    EndLocked(live, OperationState::kFailed, result.status(), "");
  } else if (is_stopping_) {
    EndLocked(live, OperationState::kInterrupted, Interrupted(), "");
  } else {
    EndLocked(live, OperationState::kCancelled, CancelledByUser(), "");
  }
}

void Operations::EndLocked(std::map<std::string, Live>::iterator live, OperationState state,
                           const absl::Status& error, const std::string& result) {
  const double now = clock_.MonotonicSeconds();
  const bool has_begun = live->second.record.state == OperationState::kRunning;
  const double seconds = has_begun ? now - live->second.begin_seconds : 0;
  OperationRecord record = std::move(live->second.record);
  live_.erase(live);
  record.state = state;
  record.error = error;
  record.result = result;
  TouchLocked(record);
  const absl::Status stored = history_.UpdateOperation(record);
  if (!stored.ok()) {
    spdlog::error("operation_store_failed operation={} {}", record.id, LogStatus(stored));
  }
  spdlog::info(
      "operation_finished operation={} kind={} target={} device={} state={} seconds={:.3f} {}",
      record.id, record.kind, LogText(record.target), LogText(record.device),
      OperationStateName(state), seconds, LogStatus(error));
  metrics_.OperationFinished(record, seconds);
  hub_.Publish(record);
}

absl::StatusOr<OperationRecord> Operations::Get(const std::string& id) {
  {
    std::lock_guard lock(mutex_);
    if (const auto live = live_.find(id); live != live_.end()) return live->second.record;
  }
  return history_.GetOperation(id);
}

absl::StatusOr<Page<OperationRecord>> Operations::List(const PageRequest& page) {
  std::lock_guard lock(mutex_);
  QTIPD_ASSIGN_OR_RETURN(Page<OperationRecord> records, history_.ListOperations(page));
  for (OperationRecord& record : records.items) {
    if (const auto live = live_.find(record.id); live != live_.end()) record = live->second.record;
  }
  return records;
}

absl::Status Operations::Cancel(const std::string& id) {
  std::lock_guard lock(mutex_);
  const auto live = live_.find(id);
  if (live == live_.end()) return history_.GetOperation(id).status();
  live->second.token->Cancel();
  if (live->second.record.state == OperationState::kQueued) {
    EndLocked(live, OperationState::kCancelled, CancelledByUser(), "");
  }
  return absl::OkStatus();
}

absl::Status Operations::Delete(const std::string& id) {
  std::lock_guard lock(mutex_);
  if (live_.count(id) > 0) {
    return FieldError(absl::StatusCode::kFailedPrecondition, "OPERATION_NOT_FINISHED", "operation",
                      id, "an operation that has ended; cancel it first");
  }
  return history_.DeleteOperation(id);
}

absl::StatusOr<std::unique_ptr<Subscription>> Operations::Watch(const std::string& id,
                                                                WatchHub::Callback callback) {
  // Under the lock, so that no change falls between the first record and the subscription.
  std::lock_guard lock(mutex_);
  if (const auto live = live_.find(id); live != live_.end()) {
    return hub_.Watch(live->second.record, std::move(callback));
  }
  QTIPD_ASSIGN_OR_RETURN(const OperationRecord record, history_.GetOperation(id));
  return hub_.Watch(record, std::move(callback));
}

void Operations::InterruptAll() {
  std::lock_guard lock(mutex_);
  is_stopping_ = true;
  for (auto it = live_.begin(); it != live_.end();) {
    const auto live = it++;
    live->second.token->Cancel();
    if (live->second.record.state == OperationState::kQueued) {
      EndLocked(live, OperationState::kInterrupted, Interrupted(), "");
    }
  }
}

void Operations::Stop() { hub_.Stop(); }

}  // namespace qtipd
