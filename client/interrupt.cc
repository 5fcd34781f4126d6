#include "client/interrupt.h"

#include <atomic>
#include <chrono>
#include <utility>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

// A signal handler can reach nothing but static storage, and any thread may run it.
std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler takes no lock");

// Scopes that exist; only the command's own thread makes them.
int depth = 0;

constexpr std::chrono::milliseconds kTick{100};

extern "C" void HandleInterrupt(int) { interrupted = true; }

}  // namespace

InterruptScope::InterruptScope() {
  if (depth++ > 0) return;
  interrupted = false;
  struct sigaction action = {};
  action.sa_handler = HandleInterrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, &old_int_);
  sigaction(SIGTERM, &action, &old_term_);
}

InterruptScope::~InterruptScope() {
  if (--depth > 0) return;
  sigaction(SIGINT, &old_int_, nullptr);
  sigaction(SIGTERM, &old_term_, nullptr);
}

bool InterruptScope::WasInterrupted() const { return interrupted; }

InterruptWatch::InterruptWatch(const InterruptScope& scope, std::function<void()> action)
    : thread_([this, &scope, action = std::move(action)] { Watch(scope, action); }) {}

InterruptWatch::~InterruptWatch() {
  {
    std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void InterruptWatch::Watch(const InterruptScope& scope, const std::function<void()>& action) {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kTick, [this] { return is_ending_; })) {
    if (scope.WasInterrupted()) return action();
  }
}

absl::Status InterruptedByUser(const std::string& what, const std::string& outcome) {
  return MakeError(absl::StatusCode::kCancelled, "INTERRUPTED_BY_USER",
                   what + ": got an interrupt, " + outcome);
}

}  // namespace qtipd
