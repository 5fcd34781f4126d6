#include "server/engine/operations/watch_hub.h"

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <utility>

namespace qtipd {
namespace {

// All fields but `callback` are guarded by Shared::mutex.
struct Watcher {
  WatchHub::Callback callback;
  OperationRecord latest;
  bool is_pending = false;
  bool is_running = false;  // the callback is being called
  bool is_ended = false;    // unsubscribed, or the terminal record was delivered
};

}  // namespace

struct WatchHub::Shared {
  std::mutex mutex;
  std::condition_variable wake;      // the thread waits for pending watchers
  std::condition_variable finished;  // destructors of subscriptions wait for a running callback
  std::multimap<std::string, std::shared_ptr<Watcher>> watchers;  // by operation id
  std::deque<std::shared_ptr<Watcher>> pending;
  bool is_stopping = false;

  void MakePending(const std::shared_ptr<Watcher>& watcher) {
    if (watcher->is_pending || watcher->is_ended) return;
    watcher->is_pending = true;
    pending.push_back(watcher);
    wake.notify_one();
  }

  void Forget(const std::shared_ptr<Watcher>& watcher) {
    watcher->is_ended = true;
    auto [it, end] = watchers.equal_range(watcher->latest.id);
    while (it != end) it = it->second == watcher ? watchers.erase(it) : std::next(it);
  }

  void Deliver(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Watcher>& watcher) {
    watcher->is_pending = false;
    if (watcher->is_ended) return;
    const OperationRecord record = watcher->latest;
    watcher->is_running = true;
    lock.unlock();
    watcher->callback(record);
    lock.lock();
    watcher->is_running = false;
    if (IsTerminal(record.state)) Forget(watcher);
    finished.notify_all();
  }

  void Loop() {
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [this] { return is_stopping || !pending.empty(); });
      if (pending.empty()) return;
      const std::shared_ptr<Watcher> watcher = std::move(pending.front());
      pending.pop_front();
      Deliver(lock, watcher);
    }
  }

  class WatchSubscription final : public Subscription {
   public:
    WatchSubscription(std::shared_ptr<Shared> shared, std::shared_ptr<Watcher> watcher)
        : shared_(std::move(shared)), watcher_(std::move(watcher)) {}
    ~WatchSubscription() override {
      std::unique_lock lock(shared_->mutex);
      shared_->Forget(watcher_);
      shared_->finished.wait(lock, [this] { return !watcher_->is_running; });
    }

   private:
    std::shared_ptr<Shared> shared_;
    std::shared_ptr<Watcher> watcher_;
  };
};

WatchHub::WatchHub() : shared_(std::make_shared<Shared>()) {
  thread_ = std::thread([shared = shared_] { shared->Loop(); });
}

WatchHub::~WatchHub() { Stop(); }

std::unique_ptr<Subscription> WatchHub::Watch(const OperationRecord& record, Callback callback) {
  auto watcher = std::make_shared<Watcher>();
  watcher->callback = std::move(callback);
  watcher->latest = record;
  std::lock_guard lock(shared_->mutex);
  shared_->watchers.emplace(record.id, watcher);
  shared_->MakePending(watcher);
  return std::make_unique<Shared::WatchSubscription>(shared_, watcher);
}

void WatchHub::Publish(const OperationRecord& record) {
  std::lock_guard lock(shared_->mutex);
  auto [it, end] = shared_->watchers.equal_range(record.id);
  for (; it != end; ++it) {
    it->second->latest = record;
    shared_->MakePending(it->second);
  }
}

void WatchHub::Stop() {
  {
    std::lock_guard lock(shared_->mutex);
    shared_->is_stopping = true;
    shared_->wake.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace qtipd
