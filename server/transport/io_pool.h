// Threads for what a gRPC callback must not do itself.
#ifndef QTIPD_SERVER_TRANSPORT_IO_POOL_H_
#define QTIPD_SERVER_TRANSPORT_IO_POOL_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace qtipd {

// Runs posted tasks on its own threads, in the order posted. File reads, writes and syncs of
// uploads and exports go here, and every read of the engine that follows one of its callbacks:
// gRPC's callback pool has as few as 2 threads, and a blocked one blocks health checks.
// Thread-safe.
class IoPool {
 public:
  explicit IoPool(int threads);
  // Runs what was posted, then joins.
  ~IoPool();

  void Post(std::function<void()> task);

 private:
  void Work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool is_closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_TRANSPORT_IO_POOL_H_
