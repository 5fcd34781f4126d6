// Ctrl-C as a fact to ask for, while something is being awaited or written.
#ifndef QTIPD_CLIENT_INTERRUPT_H_
#define QTIPD_CLIENT_INTERRUPT_H_

#include <condition_variable>
#include <csignal>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"

namespace qtipd {

// Catches the first SIGINT or SIGTERM during its life; a second one ends the process as usual.
// Within another scope it catches nothing by itself but sees what the outer one caught, so that
// work of many parts loses no signal between them. Made and destroyed by one thread, inner ones
// first.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;

  bool WasInterrupted() const;

 private:
  struct sigaction old_int_ = {};
  struct sigaction old_term_ = {};
};

// Calls `action` once the scope has caught a signal, for what blocks meanwhile; from a thread of
// its own, which ends with the watch. Looks ten times a second.
class InterruptWatch {
 public:
  // `scope` outlives it.
  InterruptWatch(const InterruptScope& scope, std::function<void()> action);
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;

 private:
  void Watch(const InterruptScope& scope, const std::function<void()>& action);

  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_ending_ = false;  // guarded by mutex_
  std::thread thread_;
};

// Cancelled/INTERRUPTED_BY_USER. `what` is what was interrupted, and `outcome` what became of it.
absl::Status InterruptedByUser(const std::string& what, const std::string& outcome);

}  // namespace qtipd

#endif  // QTIPD_CLIENT_INTERRUPT_H_
