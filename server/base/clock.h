// Wall and monotonic time behind an interface, so that tests need no sleeps.
#ifndef QTIPD_SERVER_BASE_CLOCK_H_
#define QTIPD_SERVER_BASE_CLOCK_H_

#include <cstdint>

namespace qtipd {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t NowUnixMillis() = 0;
  virtual double MonotonicSeconds() = 0;
  // Returns when so many seconds of the monotonic clock have passed.
  virtual void Sleep(double seconds) = 0;
};

// The system's clocks; lives as long as the program.
Clock& SystemClock();

}  // namespace qtipd

#endif  // QTIPD_SERVER_BASE_CLOCK_H_
