#include "server/transport/wait_operation.h"

#include <grpcpp/alarm.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "kernels/api/error.h"
#include "server/service/operation_conversion.h"
#include "server/transport/call_record.h"
#include "server/transport/io_pool.h"

namespace qtipd {
namespace {

using google::longrunning::Operation;
using google::longrunning::WaitOperationRequest;

constexpr int64_t kMaxWaitSeconds = 100'000'000;  // three years: more would overflow time points

absl::StatusOr<std::optional<std::chrono::milliseconds>> Timeout(
    const WaitOperationRequest& request) {
  if (!request.has_timeout()) return std::nullopt;
  const int64_t seconds = std::min(request.timeout().seconds(), kMaxWaitSeconds);
  const int64_t nanos = request.timeout().nanos();
  if (seconds < 0 || nanos < 0) {
    return InvalidField("WAIT_TIMEOUT_INVALID", "timeout", std::to_string(seconds) + " s",
                        "at least 0 s");
  }
  return std::chrono::seconds(seconds) + std::chrono::milliseconds(nanos / 1'000'000);
}

// Finished by whoever is first: the operation's end, the alarm, or the client's leaving. Deleted
// when gRPC and the alarm have both let go of it.
class WaitReactor final : public grpc::ServerUnaryReactor {
 public:
  WaitReactor(const RpcEnvironment& environment, RpcName name,
              const grpc::CallbackServerContext& context, Operation* response)
      : environment_(environment),
        record_(environment, std::move(name), context),
        response_(*response) {}

  void Begin(const WaitOperationRequest& request) {
    const auto timeout = Timeout(request);
    absl::StatusOr<std::unique_ptr<Subscription>> subscription =
        timeout.ok() ? Subscribe(request) : timeout.status();
    std::lock_guard lock(mutex_);
    is_busy_ = false;
    if (!subscription.ok()) {
      FinishLocked(record_.Finish(subscription.status()));
      return;
    }
    subscription_ = *std::move(subscription);
    if (*timeout) SetAlarm(**timeout);
    AdvanceLocked();
  }

  void OnCancel() override {
    std::lock_guard lock(mutex_);
    is_cancelled_ = true;
    AdvanceLocked();
  }

  void OnDone() override {
    { std::lock_guard lock(mutex_); }  // whoever called Finish has let go of the mutex
    alarm_.Cancel();
    subscription_.reset();
    Release();
  }

 private:
  absl::StatusOr<std::unique_ptr<Subscription>> Subscribe(const WaitOperationRequest& request) {
    absl::StatusOr<std::string> id = OperationId(request.name());
    if (!id.ok()) return id.status();
    return environment_.engine.WatchOperation(*id, [this](const OperationRecord& operation) {
      std::lock_guard lock(mutex_);
      latest_ = operation;
      AdvanceLocked();
    });
  }

  void SetAlarm(std::chrono::milliseconds timeout) {
    ++holders_;
    alarm_.Set(std::chrono::system_clock::now() + timeout, [this](bool is_expired) {
      if (is_expired) {
        std::lock_guard lock(mutex_);
        is_time_up_ = true;
        AdvanceLocked();
      }
      Release();
    });
  }

  void AdvanceLocked() {
    if (is_busy_ || is_finished_) return;
    if (is_cancelled_) {
      FinishLocked(record_.FinishCancelled());
    } else if (latest_ && (is_time_up_ || IsTerminal(latest_->state))) {
      is_busy_ = true;
      environment_.io->Post([this, operation = *latest_] { Answer(operation); });
    }
  }

  void Answer(const OperationRecord& operation) {  // on the I/O pool
    response_ = ToProto(operation, environment_.engine, Samples::kKeep);
    std::lock_guard lock(mutex_);
    FinishLocked(record_.Finish(absl::OkStatus()));
  }

  void FinishLocked(grpc::Status status) {
    is_finished_ = true;
    Finish(std::move(status));
  }

  void Release() {
    if (--holders_ == 0) delete this;
  }

  const RpcEnvironment& environment_;
  CallRecord record_;
  Operation& response_;
  std::atomic<int> holders_{1};  // gRPC until OnDone, the alarm until its callback
  grpc::Alarm alarm_;
  std::mutex mutex_;
  std::optional<OperationRecord> latest_;
  bool is_busy_ = true;  // until Begin has stored the subscription
  bool is_time_up_ = false;
  bool is_cancelled_ = false;
  bool is_finished_ = false;
  std::unique_ptr<Subscription> subscription_;
};

}  // namespace

grpc::ServerUnaryReactor* WaitOperationCall(const RpcEnvironment& environment, RpcName name,
                                            grpc::CallbackServerContext* context,
                                            const WaitOperationRequest* request,
                                            Operation* response) {
  auto* reactor = new WaitReactor(environment, std::move(name), *context, response);
  reactor->Begin(*request);
  return reactor;
}

}  // namespace qtipd
