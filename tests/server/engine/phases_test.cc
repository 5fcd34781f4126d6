#include "server/engine/harness/phases.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

// Run i takes i microseconds more; notes which copies ran.
class TracedPath final : public PreparedPath {
 public:
  explicit TracedPath(absl::Status failure = absl::OkStatus()) : failure_(std::move(failure)) {}
  const std::vector<std::string>& steps() const override { return steps_; }
  int copies() const override { return 4; }
  absl::Status Run(int, const void*, void*, int, int) override { return absl::OkStatus(); }
  uint64_t bytes_per_run() const override { return 0; }
  uint64_t weight_bytes() const override { return 0; }
  absl::StatusOr<PhaseTimes> MeasurePhases(int copy, const void*, void*) override {
    if (!failure_.ok()) return failure_;
    const double more = 1e-6 * static_cast<double>(copies_run.size());
    copies_run.push_back(copy);
    return PhaseTimes{10e-6 + more, {{"loop", 6e-6 + more}, {"reduce", 4e-6}}};
  }
  std::vector<int> copies_run;

 private:
  std::vector<std::string> steps_ = {"fused_decode"};
  absl::Status failure_;
};

bool Never() { return false; }

TEST(PhaseBreakdown, IsTheMedianOfRunsOverAllCopies) {
  TracedPath path;
  const auto breakdown = MeasurePhaseBreakdown(path, nullptr, nullptr, Never);
  ASSERT_TRUE(breakdown.ok() && breakdown->has_value());
  EXPECT_EQ(path.copies_run.size(), 21u);
  EXPECT_EQ(path.copies_run[5], 1);
  EXPECT_NEAR((*breakdown)->kernel_seconds, 20e-6, 1e-12);
  ASSERT_EQ((*breakdown)->phases.size(), 2u);
  EXPECT_EQ((*breakdown)->phases[0].name, "loop");
  EXPECT_NEAR((*breakdown)->phases[0].seconds, 16e-6, 1e-12);
  EXPECT_NEAR((*breakdown)->phases[0].fraction, 0.8, 1e-9);
  EXPECT_NEAR((*breakdown)->phases[1].fraction, 0.2, 1e-9);
}

TEST(PhaseBreakdown, IsAbsentWithoutAnInstrumentedBuild) {
  TracedPath path(MakeError(absl::StatusCode::kUnimplemented, "PHASES_UNSUPPORTED", ""));
  const auto breakdown = MeasurePhaseBreakdown(path, nullptr, nullptr, Never);
  ASSERT_TRUE(breakdown.ok());
  EXPECT_FALSE(breakdown->has_value());
}

TEST(PhaseBreakdown, ReportsALostDevice) {
  TracedPath path(MakeError(absl::StatusCode::kInternal, "DEVICE_LOST", ""));
  const auto breakdown = MeasurePhaseBreakdown(path, nullptr, nullptr, Never);
  EXPECT_EQ(GetErrorInfo(breakdown.status()).reason, "DEVICE_LOST");
}

TEST(PhaseBreakdown, CanBeCancelled) {
  TracedPath path;
  const auto breakdown = MeasurePhaseBreakdown(path, nullptr, nullptr, [] { return true; });
  EXPECT_EQ(GetErrorInfo(breakdown.status()).reason, "CANCELLED");
  EXPECT_TRUE(path.copies_run.empty());
}

}  // namespace
}  // namespace qtipd
