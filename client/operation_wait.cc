#include "client/operation_wait.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/interrupt.h"
#include "client/progress.h"

namespace qtipd {
namespace {

constexpr char kNamePrefix[] = "operations/";
// How often the waiting thread looks for Ctrl-C, and asks again where it has no stream.
constexpr absl::Duration kTick = absl::Milliseconds(100);
constexpr absl::Duration kPollInterval = absl::Milliseconds(500);
// A daemon that restarts must be back within this time.
constexpr absl::Duration kReconnectLimit = absl::Seconds(30);

// Reads WatchOperation on a thread of its own and hands over the newest state.
class WatchReader {
 public:
  WatchReader(Connection& connection, const std::string& name) {
    thread_ = std::thread([this, &connection, name] { Read(connection, name); });
  }
  ~WatchReader() {
    context_.TryCancel();
    thread_.join();
  }

  // The newest state not taken yet, or nothing within `limit`.
  std::optional<Operation> Take(absl::Duration limit) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoMilliseconds(limit),
                      [this] { return newest_.has_value() || has_ended_; });
    return std::exchange(newest_, std::nullopt);
  }

  // Set once no more will come.
  std::optional<absl::Status> End() {
    std::lock_guard lock(mutex_);
    if (!has_ended_ || newest_) return std::nullopt;
    return end_;
  }

 private:
  void Read(Connection& connection, const std::string& name) {
    v1::WatchOperationRequest request;
    request.set_name(name);
    const auto stream = connection.qtip().WatchOperation(&context_, request);
    Operation operation;
    while (stream->Read(&operation)) {
      std::lock_guard lock(mutex_);
      newest_ = operation;
      changed_.notify_one();
    }
    const absl::Status status = FromGrpc(stream->Finish(), connection.target());
    std::lock_guard lock(mutex_);
    end_ = status;
    has_ended_ = true;
    changed_.notify_one();
  }

  grpc::ClientContext context_;
  // The standard's, which the thread sanitizer sees: the distribution's Abseil is not instrumented.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Operation> newest_;  // guarded by mutex_
  bool has_ended_ = false;           // guarded by mutex_
  absl::Status end_;                 // guarded by mutex_
  std::thread thread_;
};

absl::StatusOr<Operation> GetOperation(Connection& connection, const std::string& name) {
  google::longrunning::GetOperationRequest request;
  request.set_name(name);
  return connection.Call(connection.operations(), &Operations::Stub::GetOperation, request);
}

absl::Status Cancel(Connection& connection, const std::string& name) {
  google::longrunning::CancelOperationRequest request;
  request.set_name(name);
  return connection.Call(connection.operations(), &Operations::Stub::CancelOperation, request)
      .status();
}

// The state of one wait: what stops it, and what it shows.
class Waiter {
 public:
  Waiter(Session& session, Connection& connection, const std::string& name,
         OnInterrupt on_interrupt)
      : connection_(connection),
        name_(name),
        on_interrupt_(on_interrupt),
        limit_(session.options().is_timeout_given ? session.options().timeout
                                                  : absl::InfiniteDuration()),
        bar_(session.err(), IsStderrTerminal()) {}

  absl::StatusOr<Operation> Run(const Operation& started) {
    if (started.done()) return started;
    absl::StatusOr<Operation> watched = Watch();
    if (watched.ok() || !absl::IsUnavailable(watched.status())) return watched;
    return Poll(watched.status());
  }

 private:
  // Errors: Unavailable if the stream broke and the operation may go on.
  absl::StatusOr<Operation> Watch() {
    WatchReader reader(connection_, name_);
    while (true) {
      QTIPD_RETURN_IF_ERROR(CheckStop());
      if (const std::optional<Operation> operation = reader.Take(kTick)) {
        Show(*operation);
        if (operation->done()) return *operation;
      }
      if (const std::optional<absl::Status> end = reader.End()) {
        QTIPD_RETURN_IF_ERROR(*end);
        return absl::UnavailableError("the stream of progress ended before the operation");
      }
    }
  }

  absl::StatusOr<Operation> Poll(absl::Status broken) {
    absl::Time last_answer = absl::Now();
    while (absl::Now() - last_answer < kReconnectLimit) {
      for (absl::Duration waited; waited < kPollInterval; waited += kTick) {
        QTIPD_RETURN_IF_ERROR(CheckStop());
        absl::SleepFor(kTick);
      }
      const absl::StatusOr<Operation> operation = GetOperation(connection_, name_);
      if (!operation.ok() && !absl::IsUnavailable(operation.status())) return operation.status();
      if (!operation.ok()) {
        broken = operation.status();
        continue;
      }
      last_answer = absl::Now();
      Show(*operation);
      if (operation->done()) return *operation;
    }
    return broken;
  }

  absl::Status CheckStop() {
    if (interrupt_.WasInterrupted()) return StopForUser();
    if (absl::Now() - begin_ > limit_) {
      return FieldError(
          absl::StatusCode::kDeadlineExceeded, "OPERATION_TIMEOUT", "timeout",
          absl::FormatDuration(limit_),
          absl::StrCat("the time that ", name_, " needs; it goes on, see 'qtipctl jobs ", "watch ",
                       name_.substr(sizeof(kNamePrefix) - 1), "'"));
    }
    return absl::OkStatus();
  }

  absl::Status StopForUser() {
    std::string outcome = "it goes on";
    if (on_interrupt_ == OnInterrupt::kCancel) {
      const absl::Status cancelled = Cancel(connection_, name_);
      outcome = cancelled.ok() ? "the daemon was told to cancel it"
                               : absl::StrCat("it could not be cancelled: ", cancelled.message());
    }
    return InterruptedByUser(name_, outcome);
  }

  void Show(const Operation& operation) {
    v1::OperationMetadata metadata;
    if (operation.metadata().UnpackTo(&metadata)) bar_.Update(metadata);
  }

  Connection& connection_;
  const std::string name_;
  const OnInterrupt on_interrupt_;
  const absl::Duration limit_;
  const absl::Time begin_ = absl::Now();
  InterruptScope interrupt_;
  ProgressBar bar_;
};

}  // namespace

std::string OperationName(const std::string& id) {
  return absl::StartsWith(id, kNamePrefix) ? id : kNamePrefix + id;
}

std::string NewRequestId() {
  std::random_device device;
  std::string id;
  for (int i = 0; i < 4; ++i) absl::StrAppend(&id, absl::Hex(device(), absl::kZeroPad8));
  return id;
}

absl::StatusOr<Operation> AwaitOperation(Session& session, Connection& connection,
                                         const Operation& started, OnInterrupt on_interrupt) {
  QTIPD_ASSIGN_OR_RETURN(Operation done,
                         Waiter(session, connection, started.name(), on_interrupt).Run(started));
  if (done.has_error()) return FromRpcStatus(done.error());
  return done;
}

}  // namespace qtipd
