// A clock that stands still unless it is told otherwise.
#ifndef QTIPD_TESTS_FAKES_FAKE_CLOCK_H_
#define QTIPD_TESTS_FAKES_FAKE_CLOCK_H_

#include <mutex>

#include "server/base/clock.h"

namespace qtipd {

// Thread-safe.
class FakeClock final : public Clock {
 public:
  int64_t NowUnixMillis() override {
    std::lock_guard lock(mutex_);
    return 1'700'000'000'000 + static_cast<int64_t>(seconds_ * 1000);
  }
  double MonotonicSeconds() override {
    std::lock_guard lock(mutex_);
    return seconds_ += step_;
  }
  void Sleep(double seconds) override { Advance(seconds); }
  void Advance(double seconds) {
    std::lock_guard lock(mutex_);
    seconds_ += seconds;
  }
  // How far every look at the monotonic clock moves it.
  void SetStep(double seconds) {
    std::lock_guard lock(mutex_);
    step_ = seconds;
  }

 private:
  std::mutex mutex_;
  double seconds_ = 0;
  double step_ = 0;
};

}  // namespace qtipd

#endif  // QTIPD_TESTS_FAKES_FAKE_CLOCK_H_
