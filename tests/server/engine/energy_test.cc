#include "server/engine/harness/energy.h"

#include "tests/server/engine/harness_fixture.h"

namespace qtipd {
namespace {

// A replay takes 1 ms of clock and device and 0.4 J; the counter ticks on a grid of its own.
class EnergyTest : public HarnessTest {
 protected:
  void SetUp() override {
    control_->replay_seconds = [](int64_t) { return 1e-3; };
    control_->on_replay = [this] { clock_.Advance(1e-3); };
    TickEvery(0.02);
  }
  void TickEvery(double seconds) {
    readings_->read = [this, seconds](int64_t) {
      DeviceReading reading;
      const double ticks = std::floor(clock_.MonotonicSeconds() / seconds);
      reading.energy_joules = 1000 + 400 * ticks * seconds;
      return reading;
    };
  }
  absl::StatusOr<std::optional<EnergyUse>> Run() {
    return MeasureEnergy(*sampler_, monitor_, clock_, never_);
  }

  NotingPath path_{1, 1};
  std::unique_ptr<Sampler> sampler_ = Make(path_);
};

TEST_F(EnergyTest, DividesWhatWasUsedBetweenTicksByTheRuns) {
  const auto energy = Run();
  ASSERT_TRUE(energy.ok() && energy->has_value());
  EXPECT_NEAR((*energy)->watts, 400, 10);  // looks are 5 ms apart
  EXPECT_NEAR((*energy)->joules_per_run, 0.4, 0.01);
  EXPECT_GE(clock_.MonotonicSeconds(), kEnergySeconds);
  EXPECT_LE(clock_.MonotonicSeconds(), kMostEnergySeconds);
}

TEST_F(EnergyTest, EndsWhereTheCounterDoesNotTick) {
  TickEvery(100);
  const auto energy = Run();
  ASSERT_TRUE(energy.ok());
  EXPECT_FALSE(energy->has_value());
  EXPECT_NEAR(clock_.MonotonicSeconds(), kMostEnergySeconds, 0.01);
}

TEST_F(EnergyTest, EndsUnderAClockThatStands) {
  control_->on_replay = [] {};
  EXPECT_FALSE(Run()->has_value());
  EXPECT_LE(control_->replays, 601);
}

TEST_F(EnergyTest, TakesNoTimeWhereNoEnergyIsCounted) {
  readings_->read = [](int64_t) { return DeviceReading{}; };
  EXPECT_FALSE(Run()->has_value());
  EXPECT_EQ(control_->replays, 0);
}

TEST_F(EnergyTest, IsSkippedOnceCancelled) {
  const auto energy = MeasureEnergy(*sampler_, monitor_, clock_, [] { return true; });
  ASSERT_TRUE(energy.ok());
  EXPECT_FALSE(energy->has_value());
  EXPECT_EQ(control_->replays, 0);
}

TEST_F(EnergyTest, ReportsALostDevice) {
  control_->is_lost = true;
  EXPECT_FALSE(Run().ok());
}

}  // namespace
}  // namespace qtipd
