#ifndef QTIPD_KERNELS_CPU_STOPWATCH_H_
#define QTIPD_KERNELS_CPU_STOPWATCH_H_

#include <chrono>
#include <utility>

namespace qtipd {

// For the times of an encoder's steps.
class Stopwatch {
 public:
  // Seconds since construction or the last call.
  double Lap() {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double> lap = now - std::exchange(last_, now);
    return lap.count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CPU_STOPWATCH_H_
