// A thread for host work that needs no device: imports and exports.
#ifndef QTIPD_SERVER_ENGINE_HOST_WORKER_H_
#define QTIPD_SERVER_ENGINE_HOST_WORKER_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "absl/status/status.h"

namespace qtipd {

// Thread-safe; runs work in order, one at a time.
class HostWorker {
 public:
  explicit HostWorker(size_t max_queue);
  ~HostWorker();

  // Errors: ResourceExhausted/QUEUE_FULL; Unavailable/SERVER_DRAINING.
  absl::Status Enqueue(std::function<void()> work);
  // Runs what is queued and ends the thread. Idempotent.
  void Stop();

 private:
  void Loop();

  const size_t max_queue_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;  // guarded by mutex_
  bool is_stopping_ = false;                 // guarded by mutex_
  std::thread thread_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_HOST_WORKER_H_
