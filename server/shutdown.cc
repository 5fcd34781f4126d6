#include "server/shutdown.h"

#include <chrono>
#include <utility>

namespace qtipd {
namespace {

// For answers on their way: what has not ended by now waits for something that will not come.
constexpr std::chrono::milliseconds kCallGrace(500);

}  // namespace

void StopInOrder(GrpcServer& grpc, Engine& engine, HttpServer* http) {
  grpc.SetServing(false);
  engine.Shutdown();
  grpc.Stop(kCallGrace);
  if (http != nullptr) http->Stop();
}

void StopEvent::Request(int exit_code) {
  std::lock_guard lock(mutex_);
  if (!exit_code_) exit_code_ = exit_code;
  changed_.notify_all();
}

int StopEvent::Wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return exit_code_.has_value(); });
  return *exit_code_;
}

Watchdog::Watchdog(double seconds, std::function<void()> on_expiry)
    : thread_([this, seconds, on_expiry = std::move(on_expiry)] {
        std::unique_lock lock(mutex_);
        const auto limit = std::chrono::duration<double>(seconds);
        if (!changed_.wait_for(lock, limit, [this] { return is_over_; })) on_expiry();
      }) {}

Watchdog::~Watchdog() {
  {
    std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

}  // namespace qtipd
