// How a daemon ends.
#ifndef QTIPD_SERVER_SHUTDOWN_H_
#define QTIPD_SERVER_SHUTDOWN_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "server/engine/engine.h"
#include "server/metrics/http_server.h"
#include "server/transport/grpc_server.h"

namespace qtipd {

// Ends everything that serves, in this order:
//   1. health turns NOT_SERVING, its watchers are told: balancers look elsewhere;
//   2. the engine refuses new operations, cancels the queued and running ones, drains its executors
//      and closes the history; reads, watches and metrics are served meanwhile, so that clients see
//      their operations end;
//   3. gRPC stops accepting, ends what still runs;
//   4. the HTTP pages go last.
// Blocks until done. `http` may be nullptr.
void StopInOrder(GrpcServer& grpc, Engine& engine, HttpServer* http);

// Why a daemon ends, told by any thread. Thread-safe.
class StopEvent {
 public:
  // The first request counts.
  void Request(int exit_code);
  // Blocks until there is one; returns its exit code.
  int Wait();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<int> exit_code_;
};

// Calls `on_expiry` on its own thread if it still lives after `seconds`.
class Watchdog {
 public:
  Watchdog(double seconds, std::function<void()> on_expiry);
  ~Watchdog();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_over_ = false;
  std::thread thread_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_SHUTDOWN_H_
