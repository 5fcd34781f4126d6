// A value that is asked for at most once a period.
#ifndef QTIPD_SERVER_TELEMETRY_TIME_GRID_H_
#define QTIPD_SERVER_TELEMETRY_TIME_GRID_H_

#include <limits>
#include <utility>

namespace qtipd {

// Not thread-safe.
template <typename T>
class TimeGrid {
 public:
  explicit TimeGrid(double period_seconds) : period_(period_seconds) {}

  // The value of the last `read`, which is called where that is a period ago.
  template <typename Read>
  const T& Get(double now_seconds, Read read) {
    if (now_seconds >= next_) {
      value_ = read();
      next_ = now_seconds + period_;
    }
    return value_;
  }
  // The next Get reads.
  void Forget() { next_ = -std::numeric_limits<double>::infinity(); }

 private:
  const double period_;
  double next_ = -std::numeric_limits<double>::infinity();
  T value_{};
};

}  // namespace qtipd

#endif  // QTIPD_SERVER_TELEMETRY_TIME_GRID_H_
