#include "server/transport/watch_operation.h"

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "server/service/operation_conversion.h"
#include "server/transport/call_record.h"
#include "server/transport/io_pool.h"

namespace qtipd {
namespace {

using google::longrunning::Operation;

// At most one step is under way: a conversion on the I/O pool, or a write. Changes that arrive
// meanwhile replace each other in `pending_`. Whoever ends a step starts the next one or finishes.
class WatchReactor final : public grpc::ServerWriteReactor<Operation> {
 public:
  WatchReactor(const RpcEnvironment& environment, RpcName name,
               const grpc::CallbackServerContext& context)
      : environment_(environment), record_(environment, std::move(name), context) {}

  void Begin(const v1::WatchOperationRequest& request) {
    absl::StatusOr<std::unique_ptr<Subscription>> subscription = Subscribe(request);
    std::lock_guard lock(mutex_);
    is_busy_ = false;
    if (!subscription.ok()) {
      FinishLocked(record_.Finish(subscription.status()));
      return;
    }
    subscription_ = *std::move(subscription);
    AdvanceLocked();
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    is_busy_ = false;
    if (!ok) {
      is_cancelled_ = true;
    } else if (message_.done()) {
      FinishLocked(record_.Finish(absl::OkStatus()));
    }
    AdvanceLocked();
  }

  void OnCancel() override {
    std::lock_guard lock(mutex_);
    is_cancelled_ = true;
    AdvanceLocked();
  }

  // Destroying the subscription waits for a callback that is running; Finish is never called from
  // one, so this is not one of the engine's threads.
  void OnDone() override {
    { std::lock_guard lock(mutex_); }  // whoever called Finish has let go of the mutex
    delete this;
  }

 private:
  absl::StatusOr<std::unique_ptr<Subscription>> Subscribe(
      const v1::WatchOperationRequest& request) {
    absl::StatusOr<std::string> id = OperationId(request.name());
    if (!id.ok()) return id.status();
    return environment_.engine.WatchOperation(
        *id, [this](const OperationRecord& operation) { Changed(operation); });
  }

  void Changed(const OperationRecord& operation) {  // on a thread of the engine
    std::lock_guard lock(mutex_);
    pending_ = operation;
    AdvanceLocked();
  }

  void AdvanceLocked() {
    if (is_busy_ || is_finished_) return;
    if (is_cancelled_) {
      // Not from within the engine's callback: only its client's own reactions set is_cancelled_
      // while no step is under way.
      FinishLocked(record_.FinishCancelled());
    } else if (pending_) {
      is_busy_ = true;
      environment_.io->Post([this] { Send(); });
    }
  }

  void Send() {  // on the I/O pool: reading the result from the engine may take its locks
    OperationRecord operation;
    {
      std::lock_guard lock(mutex_);
      operation = *std::exchange(pending_, std::nullopt);
    }
    message_ = ToProto(operation, environment_.engine, Samples::kKeep);
    std::lock_guard lock(mutex_);
    if (is_cancelled_) {
      is_busy_ = false;
      AdvanceLocked();
    } else {
      StartWrite(&message_);
    }
  }

  void FinishLocked(grpc::Status status) {
    is_finished_ = true;
    Finish(std::move(status));
  }

  const RpcEnvironment& environment_;
  CallRecord record_;
  Operation message_;  // belongs to the step under way
  std::mutex mutex_;
  std::optional<OperationRecord> pending_;
  bool is_busy_ = true;  // until Begin has stored the subscription
  bool is_cancelled_ = false;
  bool is_finished_ = false;
  // Last: destroyed first, while what its callback uses still lives.
  std::unique_ptr<Subscription> subscription_;
};

}  // namespace

grpc::ServerWriteReactor<Operation>* WatchOperationCall(const RpcEnvironment& environment,
                                                        RpcName name,
                                                        grpc::CallbackServerContext* context,
                                                        const v1::WatchOperationRequest* request) {
  auto* reactor = new WatchReactor(environment, std::move(name), *context);
  reactor->Begin(*request);
  return reactor;
}

}  // namespace qtipd
