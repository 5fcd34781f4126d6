// Long-running operations: their states, progress, cancellation, persistence and watchers.
#ifndef QTIPD_SERVER_ENGINE_OPERATIONS_OPERATIONS_H_
#define QTIPD_SERVER_ENGINE_OPERATIONS_OPERATIONS_H_

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"
#include "server/base/clock.h"
#include "server/engine/engine.h"
#include "server/engine/history/history_store.h"
#include "server/engine/metrics_sink.h"
#include "server/engine/operations/watch_hub.h"
#include "server/engine/types.h"

namespace qtipd {

// What a start call says about the operation it wants.
struct OperationRequest {
  std::string kind;
  std::string target;
  std::string device;
  std::string request_id;   // empty: no deduplication
  std::string spec_sha256;  // of the whole spec
};

// Thread-safe. A change of state is in the history before anybody sees it; progress is not stored.
class Operations {
 public:
  // All arguments outlive it.
  Operations(HistoryStore& history, MetricsSink& metrics, Clock& clock);
  ~Operations();

  // Marks those that an earlier daemon left unfinished as INTERRUPTED. Call once, first.
  absl::Status Restore();

  // The operation started with this request_id in the last 24 hours, if any.
  // Errors: AlreadyExists/REQUEST_ID_REUSED if its spec was another.
  absl::StatusOr<std::optional<OperationRecord>> FindStarted(const OperationRequest& request);

  struct Created {
    OperationRecord record;
    bool is_new = true;  // false: found by its request_id; do not run it again
  };
  absl::StatusOr<Created> Create(const OperationRequest& request);
  // Takes back a created operation that could not be enqueued.
  void Discard(const std::string& id);

  // QUEUED to RUNNING. Returns where the job reports to, or nullptr if it was cancelled meanwhile.
  std::shared_ptr<Progress> Begin(const std::string& id);
  // Ends it: `result` is the name of what was made, or why it failed. A Cancelled status gives
  // CANCELLED, or INTERRUPTED while shutting down.
  void Finish(const std::string& id, const absl::StatusOr<std::string>& result);

  absl::StatusOr<OperationRecord> Get(const std::string& id);
  absl::StatusOr<Page<OperationRecord>> List(const PageRequest& page);
  // A queued one ends at once, a running one at its next check; an ended one is left as it is.
  absl::Status Cancel(const std::string& id);
  // Errors: FailedPrecondition/OPERATION_NOT_FINISHED.
  absl::Status Delete(const std::string& id);
  absl::StatusOr<std::unique_ptr<Subscription>> Watch(const std::string& id,
                                                      WatchHub::Callback callback);

  // Cancels all that is not finished; they end as INTERRUPTED.
  void InterruptAll();
  // Delivers what watchers have not seen and ends their thread.
  void Stop();

 private:
  class Token;
  struct Live {
    OperationRecord record;
    std::shared_ptr<Token> token;
    double begin_seconds = 0;
  };
  void Report(const std::string& id, double fraction, std::string_view stage);
  void EndLocked(std::map<std::string, Live>::iterator live, OperationState state,
                 const absl::Status& error, const std::string& result);
  void TouchLocked(OperationRecord& record);

  HistoryStore& history_;
  MetricsSink& metrics_;
  Clock& clock_;
  WatchHub hub_;
  std::mutex create_mutex_;           // one Create at a time; taken before mutex_
  std::mutex mutex_;                  // taken before the history's and the hub's locks
  std::map<std::string, Live> live_;  // not ended; guarded by mutex_
  bool is_stopping_ = false;          // guarded by mutex_
  int64_t created_ = 0;               // guarded by mutex_
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_OPERATIONS_OPERATIONS_H_
