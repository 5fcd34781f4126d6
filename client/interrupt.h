// Ctrl-C as a fact to ask for, while an operation is being awaited.
#ifndef QTIPD_CLIENT_INTERRUPT_H_
#define QTIPD_CLIENT_INTERRUPT_H_

#include <csignal>

namespace qtipd {

// Catches the first SIGINT or SIGTERM during its life; a second one ends the process as usual. At
// most one exists at a time.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;

  bool WasInterrupted() const;

 private:
  struct sigaction old_int_;
  struct sigaction old_term_;
};

}  // namespace qtipd

#endif  // QTIPD_CLIENT_INTERRUPT_H_
