#include "server/engine/harness/conditions_watch.h"

#include <gtest/gtest.h>

#include "server/telemetry/nvml_monitor.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_monitor.h"
#include "tests/fakes/fake_nvml.h"

namespace qtipd {
namespace {

using Strings = std::vector<std::string>;
using Verdict = ConditionsWatch::Verdict;

class ConditionsWatchTest : public ::testing::Test {
 protected:
  // A reading from the `first`-th look on, an empty one before.
  void ReadFrom(int64_t first, const DeviceReading& reading) {
    control_->read = [=](int64_t n) { return n >= first ? reading : DeviceReading{}; };
  }
  // `count` samples of that clock, `spacing` seconds apart.
  void Judge(int count, double clock_hertz, double spacing = 0.001) {
    for (int i = 0; i < count; ++i) {
      clock_.Advance(spacing);
      last_ =
          watch_.Judge({.seconds = 1e-3, .clock_hertz = clock_hertz}, clock_.MonotonicSeconds());
    }
  }

  std::shared_ptr<FakeMonitorControl> control_ = std::make_shared<FakeMonitorControl>();
  FakeMonitor monitor_{control_};
  FakeClock clock_;
  ConditionsWatch watch_{monitor_, clock_};
  Verdict last_ = Verdict::kKeep;
};

TEST_F(ConditionsWatchTest, ACalmDeviceHasNothingToTell) {
  watch_.SetReference(1e9);
  watch_.Begin();
  Judge(100, 0.98e9);
  watch_.End();
  EXPECT_TRUE(watch_.Warnings().empty());
  const Conditions conditions = watch_.Summary(std::vector<double>(100, 0.98e9));
  EXPECT_EQ(conditions.retaken_samples, 0);
  EXPECT_EQ(conditions.throttled_samples, 0);
  EXPECT_FALSE(conditions.temperature_begin_celsius.has_value());
  EXPECT_FALSE(conditions.power_watts.has_value());
}

TEST_F(ConditionsWatchTest, ReadsTheMonitorOnATimeGrid) {
  watch_.Begin();
  Judge(1000, 0, 0.001);  // a second
  watch_.End();
  EXPECT_GE(control_->reads, 20);
  EXPECT_LE(control_->reads, 22);
}

TEST_F(ConditionsWatchTest, ASampleBelowThreeQuartersOfTheClockIsTakenAgain) {
  watch_.SetReference(1e9);
  watch_.Begin();
  Judge(1, 0.76e9);
  EXPECT_EQ(last_, Verdict::kKeep);
  Judge(1, 0.74e9);
  EXPECT_EQ(last_, Verdict::kTakeAgain);
  EXPECT_EQ(watch_.Summary({}).retaken_samples, 1);
}

TEST_F(ConditionsWatchTest, TwentyAreTakenAgainAndTheRestIsKeptAndFlagged) {
  watch_.SetReference(1e9);
  watch_.Begin();
  Judge(20, 0.5e9);
  EXPECT_EQ(last_, Verdict::kTakeAgain);
  EXPECT_TRUE(watch_.Warnings().empty());
  Judge(3, 0.5e9);
  EXPECT_EQ(last_, Verdict::kKeep);
  EXPECT_TRUE(watch_.IsMostlyThrottled());
  EXPECT_EQ(watch_.Summary({}).retaken_samples, 20);
  EXPECT_EQ(watch_.Summary({}).throttled_samples, 3);
  EXPECT_EQ(watch_.Warnings(), (Strings{"THROTTLED", "CLOCK_DRIFT"}));
  Judge(3, 1e9);
  EXPECT_FALSE(watch_.IsMostlyThrottled());
}

TEST_F(ConditionsWatchTest, AnUnknownClockJudgesNothing) {
  watch_.SetReference(1e9);
  watch_.Begin();
  Judge(10, 0);
  EXPECT_EQ(last_, Verdict::kKeep);
  watch_.SetReference(0);
  Judge(10, 1);
  EXPECT_EQ(last_, Verdict::kKeep);
}

TEST_F(ConditionsWatchTest, ASlowdownOfTheHardwareThrottlesUntilItIsOver) {
  DeviceReading hot;
  hot.clock_events = {"SW_POWER_CAP", "HW_THERMAL_SLOWDOWN"};
  control_->read = [=](int64_t n) { return n >= 1 && n <= 3 ? hot : DeviceReading{}; };
  watch_.Begin();
  Judge(1, 0, 0.01);
  EXPECT_EQ(last_, Verdict::kKeep);
  Judge(1, 0, 0.05);  // looks
  EXPECT_EQ(last_, Verdict::kTakeAgain);
  Judge(2, 0);
  EXPECT_EQ(last_, Verdict::kTakeAgain);
  Judge(1, 0);  // judged by the look after the last wait
  EXPECT_EQ(last_, Verdict::kKeep);
  EXPECT_EQ(watch_.Summary({}).retaken_samples, 3);
  EXPECT_EQ(watch_.Summary({}).clock_events, (Strings{"HW_THERMAL_SLOWDOWN", "SW_POWER_CAP"}));
  EXPECT_EQ(watch_.Warnings(), Strings{"THROTTLED"});
}

TEST_F(ConditionsWatchTest, AThrottledDeviceGetsMoreTimeAtEveryRetake) {
  watch_.SetReference(1e9);
  watch_.Begin();
  for (const double wait : {0.01, 0.02, 0.04, 0.05, 0.05}) {
    const double begin = clock_.MonotonicSeconds();
    const int64_t looks = control_->reads;
    Judge(1, 0.5e9, 0);
    EXPECT_EQ(last_, Verdict::kTakeAgain);
    EXPECT_NEAR(clock_.MonotonicSeconds() - begin, wait, 1e-9);
    EXPECT_EQ(control_->reads, looks + 1);
  }
}

TEST_F(ConditionsWatchTest, AllWaitsTogetherAreBounded) {
  watch_.SetReference(1e9);
  watch_.Begin();
  Judge(100, 0.5e9, 0);
  EXPECT_EQ(watch_.Summary({}).retaken_samples, kMostRetakes);
  EXPECT_NEAR(clock_.MonotonicSeconds(), kAllRecoverySeconds, 1e-9);
}

TEST_F(ConditionsWatchTest, BeginAndEndWantEverythingAnew) {
  watch_.Begin();
  Judge(2, 0, 0.05);
  watch_.End();
  EXPECT_EQ(control_->freshness, (std::vector<Freshness>{Freshness::kBegin, Freshness::kGrid,
                                                         Freshness::kGrid, Freshness::kNow}));
}

TEST_F(ConditionsWatchTest, ADeviceThatIsSlowFromTheStartIsFlagged) {
  watch_.SetReference(0.7e9);
  watch_.SetDefaultClock(1e9);
  watch_.Begin();
  Judge(10, 0.7e9);
  EXPECT_EQ(last_, Verdict::kKeep);
  EXPECT_EQ(watch_.Warnings(), Strings{"CLOCK_LOW"});
  Judge(10, 0.76e9);  // of half the samples only
  EXPECT_TRUE(watch_.Warnings().empty());
}

TEST_F(ConditionsWatchTest, AnUnknownClockIsNotLow) {
  watch_.SetDefaultClock(1e9);
  watch_.Begin();
  Judge(10, 0);
  EXPECT_TRUE(watch_.Warnings().empty());
}

TEST_F(ConditionsWatchTest, APowerCapIsListedAndDoesNotThrottle) {
  DeviceReading capped;
  capped.clock_events = {"SW_POWER_CAP"};
  ReadFrom(0, capped);
  watch_.Begin();
  Judge(10, 0, 0.05);
  EXPECT_EQ(last_, Verdict::kKeep);
  EXPECT_EQ(watch_.Summary({}).clock_events, Strings{"SW_POWER_CAP"});
  EXPECT_TRUE(watch_.Warnings().empty());
}

TEST_F(ConditionsWatchTest, ASlowdownAfterTheLastSampleIsFlaggedToo) {
  DeviceReading hot;
  hot.clock_events = {"HW_SLOWDOWN"};
  ReadFrom(1, hot);
  watch_.Begin();
  Judge(10, 0);
  watch_.End();
  EXPECT_EQ(watch_.Warnings(), Strings{"THROTTLED"});
}

TEST_F(ConditionsWatchTest, FewLowClocksAreNoDrift) {
  watch_.SetReference(1e9);
  watch_.Begin();
  Judge(95, 1e9);
  Judge(5, 0.96e9);
  EXPECT_TRUE(watch_.Warnings().empty());
  Judge(1, 0.96e9);
  EXPECT_EQ(watch_.Warnings(), Strings{"CLOCK_DRIFT"});
}

TEST_F(ConditionsWatchTest, ForeignWorkAtAnyLookIsFlaggedAndListedOnce) {
  DeviceReading shared;
  shared.foreign_work = {"pid 12 python3 512 MiB"};
  control_->read = [=](int64_t n) { return n == 2 || n == 4 ? shared : DeviceReading{}; };
  watch_.Begin();
  Judge(10, 0, 0.05);
  watch_.End();
  EXPECT_EQ(watch_.Summary({}).foreign_work, Strings{"pid 12 python3 512 MiB"});
  EXPECT_EQ(watch_.Warnings(), Strings{"FOREIGN_WORK"});
}

TEST_F(ConditionsWatchTest, OfWorkThatIsAnAmountTheGreatestIsListed) {
  control_->read = [](int64_t n) {
    DeviceReading reading;
    const char* amounts[] = {"9.50", "12.00", "10.25"};
    reading.foreign_work = {std::string("other processes: ") + amounts[n % 3] + " of 16 CPUs"};
    return reading;
  };
  watch_.Begin();
  Judge(10, 0, 0.05);
  watch_.End();
  EXPECT_EQ(watch_.Summary({}).foreign_work, Strings{"other processes: 12.00 of 16 CPUs"});
}

TEST_F(ConditionsWatchTest, WhoIsThereAndIdleIsListedWithoutAWarning) {
  control_->read = [](int64_t n) {
    DeviceReading reading;
    reading.idle_processes = {"pid 9 Xorg 50 MiB"};
    (n == 1 ? reading.foreign_work : reading.idle_processes).push_back("pid 12 python3 512 MiB");
    return reading;
  };
  watch_.Begin();
  EXPECT_TRUE(watch_.Warnings().empty());
  watch_.End();
  EXPECT_EQ(watch_.Warnings(), Strings{"FOREIGN_WORK"});
  EXPECT_EQ(watch_.Summary({}).foreign_work,
            (Strings{"pid 12 python3 512 MiB", "pid 9 Xorg 50 MiB, idle"}));
}

TEST_F(ConditionsWatchTest, EccErrorsThatGrowAreFlagged) {
  control_->read = [](int64_t n) {
    DeviceReading reading;
    reading.ecc_corrected_errors = 7 + (n >= 3 ? 1 : 0);
    reading.ecc_uncorrected_errors = 2;
    return reading;
  };
  watch_.Begin();
  Judge(1, 0, 0.05);
  EXPECT_TRUE(watch_.Warnings().empty());  // what was there before is not ours
  Judge(2, 0, 0.05);
  EXPECT_EQ(watch_.Warnings(), Strings{"ECC_ERRORS"});
}

TEST_F(ConditionsWatchTest, TemperaturesAreThoseOfBeginAndEnd) {
  control_->read = [](int64_t n) {
    DeviceReading reading;
    reading.temperature_celsius = 40.0 + static_cast<double>(n);
    return reading;
  };
  watch_.Begin();
  Judge(2, 0, 0.05);
  watch_.End();
  EXPECT_EQ(watch_.Summary({}).temperature_begin_celsius, 40);
  EXPECT_EQ(watch_.Summary({}).temperature_end_celsius, 43);
}

TEST_F(ConditionsWatchTest, ClocksAreThoseOfTheSamplesElseOfTheMonitor) {
  control_->read = [](int64_t n) {
    DeviceReading reading;
    reading.clock_hertz = 2e9 + static_cast<double>(n) * 1e6;
    return reading;
  };
  watch_.Begin();
  Judge(1, 0, 0.05);
  watch_.End();
  const Conditions own = watch_.Summary(std::vector<double>{1e9, 0, 3e9, 2.5e9});
  EXPECT_EQ(own.clock_hertz, 2.5e9);
  EXPECT_EQ(own.clock_hertz_minimum, 1e9);
  EXPECT_EQ(own.clock_hertz_maximum, 3e9);
  EXPECT_EQ(watch_.Summary({}).clock_hertz, 2.001e9);
  EXPECT_EQ(watch_.Summary({}).clock_hertz_maximum, 2.002e9);
}

// The grid of time of the real monitor, over a case of 60 ms.
class ConditionsOfNvmlTest : public ::testing::Test {
 protected:
  ConditionsOfNvmlTest() {
    DeviceInfo info;
    info.uuid = nvml_->uuid;
    nvml_->values[NvmlQuantity::kEccCorrected] = 7;
    monitor_ = *MakeNvmlMonitor(nvml_, info, clock_, {});
    watch_.emplace(*monitor_, clock_);
  }
  void Judge() {
    clock_.Advance(0.06);
    watch_->Judge({.seconds = 1e-3, .clock_hertz = 0}, clock_.MonotonicSeconds());
  }

  std::shared_ptr<FakeNvml> nvml_ = std::make_shared<FakeNvml>();
  FakeClock clock_;
  std::unique_ptr<DeviceMonitor> monitor_;
  std::optional<ConditionsWatch> watch_;
};

TEST_F(ConditionsOfNvmlTest, SeeAnErrorThatCameMeanwhile) {
  watch_->Begin();
  Judge();
  nvml_->values[NvmlQuantity::kEccCorrected] = 8;
  watch_->End();
  EXPECT_EQ(watch_->Warnings(), Strings{"ECC_ERRORS"});
}

TEST_F(ConditionsOfNvmlTest, DoNotSeeWhatWasBefore) {
  nvml_->processes = {{300, std::nullopt}, {301, std::nullopt}};  // hidden: one is ourselves
  EXPECT_EQ(monitor_->Read().foreign_work.size(), 1u);
  nvml_->processes = {{300, std::nullopt}};
  nvml_->values[NvmlQuantity::kEccCorrected] = 8;
  watch_->Begin();
  Judge();
  watch_->End();
  EXPECT_TRUE(watch_->Warnings().empty());
}

TEST_F(ConditionsOfNvmlTest, NeverAskForTheEnergy) {
  watch_->Begin();
  for (int i = 0; i < 20; ++i) Judge();
  watch_->End();
  EXPECT_EQ(nvml_->reads[NvmlQuantity::kEnergyMillijoules], 0);
}

}  // namespace
}  // namespace qtipd
