// Delivers operation records to watchers from one thread of its own.
#ifndef QTIPD_SERVER_ENGINE_OPERATIONS_WATCH_HUB_H_
#define QTIPD_SERVER_ENGINE_OPERATIONS_WATCH_HUB_H_

#include <functional>
#include <memory>
#include <thread>

#include "server/engine/engine.h"
#include "server/engine/types.h"

namespace qtipd {

// Thread-safe. A watcher gets the record it starts with and every later one, the terminal one last;
// records that change faster than its callback returns are merged into the newest. A slow callback
// delays all watchers, so callbacks must be quick.
class WatchHub {
 public:
  using Callback = std::function<void(const OperationRecord&)>;

  WatchHub();
  ~WatchHub();

  // Subscriptions may outlive the hub.
  std::unique_ptr<Subscription> Watch(const OperationRecord& record, Callback callback);
  // Tells every watcher of record.id.
  void Publish(const OperationRecord& record);
  // Delivers what is pending and ends the thread; later calls deliver nothing. Idempotent.
  void Stop();

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_OPERATIONS_WATCH_HUB_H_
