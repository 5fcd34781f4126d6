#include "server/engine/harness/phases.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "tests/server/engine/harness_fixture.h"

namespace qtipd {
namespace {

using Build = PhaseTracer::Build;

struct Enqueued {
  Build build;
  int slot;
  int copy;
};

// What a path and its tracer were asked to do.
struct Trace {
  int slots = 0;
  std::vector<Enqueued> enqueued;
};

// Of the traced build, slot i takes i microseconds more than 10; a hollow kernel takes 0.4.
class FakeTracer final : public PhaseTracer {
 public:
  explicit FakeTracer(Trace& trace) : trace_(trace) {}
  absl::Status Enqueue(Build build, int slot, int copy) override {
    trace_.enqueued.push_back({build, slot, copy});
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<PhaseTimes>> Read() override {
    std::vector<PhaseTimes> times;
    for (int slot = 0; slot < trace_.slots; ++slot) {
      const bool is_hollow = trace_.enqueued.back().build == Build::kHollow;
      const double more = 1e-6 * slot;
      times.push_back(is_hollow
                          ? PhaseTimes{0.4e-6, {{"loop", 0.4e-6}}}
                          : PhaseTimes{10e-6 + more, {{"loop", 6e-6 + more}, {"reduce", 4e-6}}});
    }
    return times;
  }

 private:
  Trace& trace_;
};

class TracedPath final : public PreparedPath {
 public:
  explicit TracedPath(Trace& trace, absl::Status failure = absl::OkStatus())
      : trace_(trace), failure_(std::move(failure)) {}
  const std::vector<std::string>& steps() const override { return steps_; }
  int copies() const override { return 4; }
  absl::Status Run(int, const void*, void*, int, int) override { return absl::OkStatus(); }
  uint64_t bytes_per_run() const override { return 0; }
  uint64_t weight_bytes() const override { return 0; }
  absl::StatusOr<std::unique_ptr<PhaseTracer>> PreparePhases(const void*, void*,
                                                             int slots) override {
    if (!failure_.ok()) return failure_;
    trace_.slots = slots;
    return std::make_unique<FakeTracer>(trace_);
  }

 private:
  Trace& trace_;
  std::vector<std::string> steps_ = {"fused_decode"};
  absl::Status failure_;
};

class PhaseBreakdownTest : public HarnessTest {
 protected:
  // A shipped kernel takes 11 us in its row, a traced one 11.22, a hollow one 1.4.
  void SetUp() override {
    control_->replay_seconds = [this](int64_t n) {
      return trace_.slots * std::vector<double>{11e-6, 11.22e-6, 1.4e-6}[n % 3];
    };
  }
  absl::StatusOr<std::optional<PhaseBreakdown>> Breakdown(CacheMode mode,
                                                          absl::Status failure = {}) {
    TracedPath path(trace_, std::move(failure));
    const StepRange whole{.path = &path, .end_step = 1};
    return MeasurePhaseBreakdown(mode, *device_, whole, never_);
  }
  Trace trace_;
};

TEST_F(PhaseBreakdownTest, IsTheMedianOfRunsOverAllCopies) {
  const auto breakdown = Breakdown(CacheMode::kRotate);
  ASSERT_TRUE(breakdown.ok() && breakdown->has_value());
  EXPECT_EQ(trace_.slots, 16);  // as many as a sample has
  EXPECT_EQ(trace_.enqueued[5].copy, 1);
  EXPECT_EQ(trace_.enqueued[5].slot, 5);
  EXPECT_NEAR((*breakdown)->kernel_seconds, 17.5e-6, 1e-12);
  ASSERT_EQ((*breakdown)->phases.size(), 2u);
  EXPECT_EQ((*breakdown)->phases[0].name, "loop");
  EXPECT_NEAR((*breakdown)->phases[0].seconds, 13.5e-6, 1e-12);
  EXPECT_NEAR((*breakdown)->phases[0].fraction, 13.5 / 17.5, 1e-9);
  EXPECT_NEAR((*breakdown)->phases[1].fraction, 4 / 17.5, 1e-9);
}

TEST_F(PhaseBreakdownTest, KnowsTheShippedKernelWithoutItsTimeStamps) {
  for (const CacheMode mode : {CacheMode::kRotate, CacheMode::kHot, CacheMode::kCold}) {
    control_->replays = 0;
    const auto breakdown = Breakdown(mode);
    ASSERT_TRUE(breakdown.ok() && breakdown->has_value()) << breakdown.status();
    EXPECT_NEAR((*breakdown)->shipped_kernel_seconds, 10e-6, 1e-12);  // 11 less 1.4 and 0.4 more
    EXPECT_NEAR((*breakdown)->instrumented_overhead, 0.02, 1e-9);
  }
}

TEST_F(PhaseBreakdownTest, ColdRunsAreAloneAndAfterAFlush) {
  bool is_flushed = true;
  control_->on_replay = [&] {
    is_flushed = is_flushed && control_->flushes == control_->replays;  // one before each
  };
  const auto breakdown = Breakdown(CacheMode::kCold);
  ASSERT_TRUE(breakdown.ok() && breakdown->has_value());
  EXPECT_EQ(trace_.slots, 1);
  EXPECT_TRUE(is_flushed);
  EXPECT_EQ(control_->flushes, control_->replays);
  EXPECT_EQ(control_->replays, 3 * 22);  // one round is not kept
}

TEST_F(PhaseBreakdownTest, BackToBackRunsAreNotFlushed) {
  for (const CacheMode mode : {CacheMode::kRotate, CacheMode::kHot}) {
    ASSERT_TRUE(Breakdown(mode).ok());
    EXPECT_EQ(control_->flushes, 0);
  }
}

TEST_F(PhaseBreakdownTest, IsAbsentWithoutAnInstrumentedBuild) {
  const auto breakdown = Breakdown(
      CacheMode::kRotate, MakeError(absl::StatusCode::kUnimplemented, "PHASES_UNSUPPORTED", ""));
  ASSERT_TRUE(breakdown.ok());
  EXPECT_FALSE(breakdown->has_value());
  EXPECT_EQ(control_->replays, 0);
}

TEST_F(PhaseBreakdownTest, ReportsWhatFailed) {
  const auto breakdown =
      Breakdown(CacheMode::kRotate,
                MakeError(absl::StatusCode::kResourceExhausted, "DEVICE_MEMORY_EXHAUSTED", ""));
  EXPECT_EQ(GetErrorInfo(breakdown.status()).reason, "DEVICE_MEMORY_EXHAUSTED");
  control_->is_lost = true;
  EXPECT_EQ(GetErrorInfo(Breakdown(CacheMode::kRotate).status()).reason, "DEVICE_LOST");
}

TEST_F(PhaseBreakdownTest, CanBeCancelled) {
  TracedPath path(trace_);
  const StepRange whole{.path = &path, .end_step = 1};
  const auto breakdown = MeasurePhaseBreakdown(CacheMode::kRotate, *device_, whole,
                                               [&] { return control_->replays >= 6; });
  EXPECT_EQ(GetErrorInfo(breakdown.status()).reason, "CANCELLED");
  EXPECT_EQ(control_->replays, 6);
}

TEST(PhasesMatchShippedKernel, WithinFivePercent) {
  const auto matches = [](double kernel, double shipped) {
    PhaseBreakdown breakdown;
    breakdown.kernel_seconds = kernel;
    breakdown.shipped_kernel_seconds = shipped;
    return PhasesMatchShippedKernel(breakdown);
  };
  EXPECT_TRUE(matches(1.04e-6, 1e-6));
  EXPECT_TRUE(matches(0.96e-6, 1e-6));
  EXPECT_FALSE(matches(1.06e-6, 1e-6));
  EXPECT_FALSE(matches(0.94e-6, 1e-6));
  EXPECT_FALSE(matches(1e-6, -1e-7));
}

}  // namespace
}  // namespace qtipd
