// Progress that ends work at a chosen look.
#ifndef QTIPD_TESTS_FAKES_CANCELLED_AT_H_
#define QTIPD_TESTS_FAKES_CANCELLED_AT_H_

#include <atomic>
#include <cstdint>
#include <limits>

#include "kernels/api/weight_format.h"

namespace qtipd {

// Cancelled from the look number `at` (from 1) on; counts all looks. Thread-safe.
class CancelledAt final : public Progress {
 public:
  explicit CancelledAt(int64_t at) : at_(at) {}
  static CancelledAt Never() { return CancelledAt(std::numeric_limits<int64_t>::max()); }

  void Report(double, std::string_view) override {}
  bool IsCancelled() const override { return ++looks_ >= at_; }
  int64_t looks() const { return looks_; }

 private:
  const int64_t at_;
  mutable std::atomic<int64_t> looks_ = 0;
};

}  // namespace qtipd

#endif  // QTIPD_TESTS_FAKES_CANCELLED_AT_H_
