// SIGTERM and SIGINT as calls on a thread of their own.
#ifndef QTIPD_SERVER_SIGNALS_H_
#define QTIPD_SERVER_SIGNALS_H_

#include <functional>
#include <thread>

namespace qtipd {

// A client that goes away must not end the process by SIGPIPE.
void IgnoreBrokenPipes();

// While it lives, SIGTERM and SIGINT are calls of `handler` on its thread, where anything may be
// done (Server::Shutdown in a signal handler would deadlock). Blocking them and waiting with
// sigwait would not do: OpenBLAS starts threads while it is loaded, before main, and those would
// take them. At most one instance at a time.
class SignalThread {
 public:
  explicit SignalThread(std::function<void(int)> handler);
  ~SignalThread();

 private:
  int read_end_ = -1;
  int write_end_ = -1;
  std::thread thread_;
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_SIGNALS_H_
