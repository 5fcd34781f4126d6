#include "server/engine/harness/energy.h"

#include "tests/server/engine/harness_fixture.h"

namespace qtipd {
namespace {

// A replay takes 5 ms of clock and device, in which the device draws 400 W; the counter ticks on a
// grid of its own.
class EnergyTest : public HarnessTest {
 protected:
  void SetUp() override {
    control_->replay_seconds = [](int64_t) { return 5e-3; };
    control_->on_replay = [this] { Spend(5e-3, 400); };
    TickEvery(0.02);
  }
  void Spend(double seconds, double watts) {
    const double begin = clock_.MonotonicSeconds();
    clock_.Advance(seconds);
    // The energy at the last tick that has passed.
    const double tick = std::floor(clock_.MonotonicSeconds() / period_) * period_;
    if (tick > begin) shown_joules_ = joules_ + (tick - begin) * watts;
    joules_ += seconds * watts;
  }
  void TickEvery(double seconds) {
    period_ = seconds;
    readings_->read_energy = [this] {
      Spend(look_seconds_, kIdleWatts);
      return std::optional(EnergyReading{shown_joules_, clock_.MonotonicSeconds()});
    };
  }
  absl::StatusOr<std::optional<EnergyUse>> Run() {
    return MeasureEnergy(*sampler_, monitor_, clock_, never_);
  }

  static constexpr double kIdleWatts = 120;
  double period_ = 1;
  double look_seconds_ = 0;
  double joules_ = 1000;
  double shown_joules_ = 1000;
  NotingPath path_{1, 1};
  std::unique_ptr<Sampler> sampler_ = Make(path_);
};

TEST_F(EnergyTest, DividesWhatWasUsedBetweenTicksByTheTime) {
  const auto energy = Run();
  ASSERT_TRUE(energy.ok() && energy->has_value());
  EXPECT_NEAR((*energy)->watts, 400, 8);  // looks are 5 ms apart
  EXPECT_NEAR((*energy)->joules_per_run, 2, 0.04);
  EXPECT_GE(clock_.MonotonicSeconds(), kEnergySeconds);
  EXPECT_LE(clock_.MonotonicSeconds(), kMostEnergySeconds);
}

TEST_F(EnergyTest, ChargesNoRunWithTheGapsBetweenReplays) {
  control_->on_replay = [this] {
    Spend(18e-6, kIdleWatts);
    Spend(5e-3, 400);
  };
  TickEvery(0.1);
  look_seconds_ = 2.8e-3;  // in which the device idles
  const auto energy = Run();
  ASSERT_TRUE(energy.ok() && energy->has_value());
  EXPECT_NEAR((*energy)->joules_per_run, (*energy)->watts * 5e-3, 0.02 * 2);
  EXPECT_NEAR((*energy)->watts, 400, 0.05 * 400);
}

TEST_F(EnergyTest, LooksOnlyWhereATickIsDue) {
  TickEvery(0.1);
  ASSERT_TRUE(Run()->has_value());
  // Replays of 5 ms: 0.2 s of looks to find two ticks, then those around the last.
  EXPECT_LE(readings_->energy_reads, 1 + 41 + 7);
  EXPECT_GE(control_->replays, 95);
}

TEST_F(EnergyTest, TakesThePowerWhereNoEnergyIsCounted) {
  readings_->read_energy = [] { return std::optional<EnergyReading>(); };
  readings_->read = [this](int64_t) {
    DeviceReading reading;
    reading.power_watts = clock_.MonotonicSeconds() < 0.1 ? 120 : 400;  // it lags
    return reading;
  };
  const auto energy = Run();
  ASSERT_TRUE(energy.ok() && energy->has_value());
  EXPECT_NEAR((*energy)->watts, 400, 1e-9);
  EXPECT_NEAR((*energy)->joules_per_run, 2, 1e-9);
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
  EXPECT_LE(control_->replays, 121);
}

TEST_F(EnergyTest, TakesNoTimeWhereNeitherEnergyNorPowerIsTold) {
  readings_->read_energy = [] { return std::optional<EnergyReading>(); };
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
