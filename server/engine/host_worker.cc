#include "server/engine/host_worker.h"

#include <string>
#include <utility>

#include "kernels/api/error.h"

namespace qtipd {

HostWorker::HostWorker(size_t max_queue) : max_queue_(max_queue), thread_([this] { Loop(); }) {}

HostWorker::~HostWorker() { Stop(); }

absl::Status HostWorker::Enqueue(std::function<void()> work) {
  {
    std::lock_guard lock(mutex_);
    if (is_stopping_) {
      return MakeError(absl::StatusCode::kUnavailable, "SERVER_DRAINING", "the daemon is stopping");
    }
    if (queue_.size() >= max_queue_) {
      return FieldError(absl::StatusCode::kResourceExhausted, "QUEUE_FULL", "queue of file work",
                        std::to_string(queue_.size()) + " jobs",
                        "at most " + std::to_string(max_queue_) + "; try again later");
    }
    queue_.push_back(std::move(work));
  }
  wake_.notify_one();
  return absl::OkStatus();
}

void HostWorker::Loop() {
  while (true) {
    std::function<void()> work;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return is_stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
  }
}

void HostWorker::Stop() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

}  // namespace qtipd
