// What a benchmark says of the device, through the whole engine.
#include <thread>

#include "server/engine/harness/comparability.h"
#include "tests/server/engine/engine_fixture.h"

namespace qtipd {
namespace {

using Strings = std::vector<std::string>;

class BenchmarkConditionsTest : public EngineFixture {
 protected:
  void SetUp() override {
    EngineFixture::SetUp();
    Quantize("w");
  }
  BenchmarkResult Result(const BenchmarkSpec& spec) {
    const OperationRecord done = Await(engine_->StartBenchmark(spec));
    EXPECT_EQ(done.state, OperationState::kSucceeded) << done.error;
    last_run_ = *engine_->GetRun(done.result);
    return last_run_.results.at(0);
  }
  // Those of the device and its samples: a fake replay takes as long with one step as with all, so
  // that steps in their places do not add up.
  static Strings Warnings(const BenchmarkResult& result) {
    Strings warnings = result.warnings;
    std::erase(warnings, "STEPS_DO_NOT_ADD_UP");
    return warnings;
  }
  RunRecord last_run_;
};

TEST_F(BenchmarkConditionsTest, ACalmRunHasNoWarnings) {
  device_->replay_seconds = [](int64_t) { return 1e-3; };
  device_->replay_clock_hertz = [](int64_t) { return 1.5e9; };
  const BenchmarkResult result = Result(Bench("w"));
  EXPECT_TRUE(result.is_stable);
  EXPECT_EQ(Warnings(result), Strings{});
  EXPECT_EQ(result.sample_clock_hertz, std::vector<double>(10, 1.5e9));
  EXPECT_EQ(result.conditions.clock_hertz, 1.5e9);
  EXPECT_EQ(result.conditions.clock_policy, "default");
  EXPECT_EQ(result.replay_overhead_seconds, 1e-3);  // any replay of the fake device takes that
  EXPECT_EQ(result.comparability_key, ComparabilityKey(last_run_, result));
  EXPECT_EQ(monitor_->locks, 0);
}

TEST_F(BenchmarkConditionsTest, AnUnstableResultIsAResult) {
  device_->replay_seconds = [](int64_t n) { return n % 2 == 0 ? 1e-3 : 2e-3; };
  const BenchmarkResult result = Result(Bench("w"));
  EXPECT_FALSE(result.is_stable);
  EXPECT_EQ(Warnings(result), Strings{"UNSTABLE"});
  EXPECT_EQ(result.samples.size(), 10u);
}

TEST_F(BenchmarkConditionsTest, FlagsWhatTheMonitorSaw) {
  device_->replay_seconds = [](int64_t) { return 1e-3; };
  monitor_->read = [](int64_t) {
    DeviceReading reading;
    reading.temperature_celsius = 44;
    reading.clock_events = {"SW_POWER_CAP"};
    reading.foreign_work = {"pid 7 trainer 1 GiB"};
    return reading;
  };
  const BenchmarkResult result = Result(Bench("w"));
  EXPECT_EQ(Warnings(result), (Strings{"FOREIGN_WORK", "CEILING_DOUBTFUL"}));
  EXPECT_EQ(result.conditions.temperature_end_celsius, 44);
  EXPECT_EQ(result.conditions.clock_events, Strings{"SW_POWER_CAP"});
  EXPECT_FALSE(result.conditions.joules_per_run.has_value());
}

TEST_F(BenchmarkConditionsTest, JudgesByTheClockOfTheWarmUp) {
  device_->replay_seconds = [](int64_t) { return 1e-3; };
  // 50 replays of a warm-up, 24 of nothing, then the samples.
  device_->replay_clock_hertz = [](int64_t n) { return n < 74 ? 1.5e9 : 1e9; };
  BenchmarkSpec spec = Bench("w");
  spec.samples = 0;
  spec.stopping_parameters = {{"min-time", 0}};
  const BenchmarkResult result = Result(spec);
  EXPECT_EQ(result.stop_reason, StopReason::kThrottled);
  EXPECT_EQ(result.conditions.retaken_samples, 20);
  EXPECT_EQ(result.conditions.throttled_samples, 30);
  EXPECT_EQ(Warnings(result), (Strings{"THROTTLED", "CLOCK_DRIFT"}));
}

TEST_F(BenchmarkConditionsTest, ComparesTheClockWithTheDefaultOne) {
  monitor_->facts = {{"clock_sm_default_hertz", "2000000000"}};
  device_->replay_seconds = [](int64_t) { return 1e-3; };
  device_->replay_clock_hertz = [](int64_t) { return 1.2e9; };
  EXPECT_EQ(Warnings(Result(Bench("w"))), Strings{"CLOCK_LOW"});
}

TEST_F(BenchmarkConditionsTest, AListOfDevicesAsksNothingOfThem) {
  monitor_->read = [](int64_t n) {
    DeviceReading reading;
    reading.power_watts = 100.0 + static_cast<double>(n);
    return reading;
  };
  while (engine_->ListDevices()[0].queue_depth > 0) std::this_thread::yield();
  EXPECT_FALSE(engine_->ListDevices()[0].reading.has_value());
  EXPECT_EQ(monitor_->reads, 0);
  EXPECT_EQ(engine_->ReadDevices()[0].reading->power_watts, 100);
  EXPECT_EQ(engine_->ReadDevices()[0].reading->power_watts, 101);
}

TEST_F(BenchmarkConditionsTest, ADeviceThatWorksIsNotAskedByOthers) {
  monitor_->read = [](int64_t n) {
    DeviceReading reading;
    reading.power_watts = 100.0 + static_cast<double>(n);
    return reading;
  };
  std::vector<double> told;
  std::vector<int64_t> looks;
  device_->on_replay = [&] {
    const auto watts = engine_->ReadDevices()[0].reading->power_watts;
    if (!watts) return;
    told.push_back(*watts);
    looks.push_back(monitor_->reads);
  };
  Result(Bench("w"));
  ASSERT_FALSE(told.empty());
  for (size_t i = 0; i < told.size(); ++i) {
    EXPECT_EQ(told[i], 99 + static_cast<double>(looks[i]));
  }
  EXPECT_EQ(looks.front(), 2);  // of the benchmark itself, around its ceiling
}

TEST_F(BenchmarkConditionsTest, MeasuresEnergyAfterTheSamples) {
  device_->replay_seconds = [](int64_t) { return 1e-3; };
  device_->on_replay = [this] { clock_.Advance(1e-3); };
  monitor_->read_energy = [this] {
    const double now = clock_.MonotonicSeconds();
    return std::optional(EnergyReading{300 * now, now});
  };
  const BenchmarkResult result = Result(Bench("w"));
  EXPECT_NEAR(*result.conditions.power_watts, 300, 1);
  EXPECT_NEAR(*result.conditions.joules_per_run, 0.3, 0.01);
  BenchmarkSpec cold = Bench("w");
  cold.cache_mode = CacheMode::kCold;
  EXPECT_FALSE(Result(cold).conditions.joules_per_run.has_value());  // it would hold the flushes
}

TEST_F(BenchmarkConditionsTest, AColdRunFlushesOneCopy) {
  BenchmarkSpec spec = Bench("w");
  spec.cache_mode = CacheMode::kCold;
  const BenchmarkResult result = Result(spec);
  EXPECT_EQ(result.cache_mode, CacheMode::kCold);
  EXPECT_EQ(result.copies, 1);
  EXPECT_EQ(result.runs_per_sample, 1);
  EXPECT_GE(device_->flushes, 10);
}

TEST_F(BenchmarkConditionsTest, ACaseTakesLittleMoreThanItsSamples) {
  device_->replay_seconds = [](int64_t) { return 1e-3; };
  device_->on_replay = [this] { clock_.Advance(1.02e-3); };
  monitor_->read_energy = [this] {
    const double now = clock_.MonotonicSeconds();
    return std::optional(EnergyReading{300 * std::floor(now * 10), now});
  };
  BenchmarkSpec spec = Bench("w");
  spec.samples = 0;
  const double begin = clock_.MonotonicSeconds();
  const BenchmarkResult result = Result(spec);
  const double kept = 1e-3 * static_cast<double>(result.samples.size());
  EXPECT_GE(kept, 0.45);  // of half a second on the clock
  EXPECT_LE(clock_.MonotonicSeconds() - begin, 1.1 * kept + 1);
}

TEST_F(BenchmarkConditionsTest, TheMonitorsFactsAreInTheEnvironment) {
  monitor_->facts = {{"driver_version", "580.95"}, {"version", "not the daemon's"}};
  Result(Bench("w"));
  EXPECT_EQ(last_run_.environment.at("driver_version"), "580.95");
  EXPECT_EQ(last_run_.environment.at("version"), "test");
  EXPECT_NE(last_run_.results[0].comparability_key.find("driver=580;"), std::string::npos);
}

// ---- What is measured beside the latency ----

// Of a benchmark of ten samples, each a millisecond: 50 replays of a warm-up, 24 of nothing, 10
// samples, then the steps.
constexpr int64_t kFirstOverhead = 50;
constexpr int64_t kFirstSample = 74;
constexpr int64_t kFirstStep = 84;

class BesideTheLatency : public BenchmarkConditionsTest {
 protected:
  void SetUp() override {
    BenchmarkConditionsTest::SetUp();
    device_->replay_seconds = [](int64_t) { return 1e-3; };
  }
  // Replays from `first` to below `end` fail with `reason`.
  void Fail(int64_t first, int64_t end, const char* reason) {
    device_->replay_status = [=](int64_t n) {
      return n < first || n >= end ? absl::OkStatus()
                                   : MakeError(absl::StatusCode::kUnavailable, reason, "so it is");
    };
  }
};

TEST_F(BesideTheLatency, AFailureOfTheStepsIsANote) {
  Fail(kFirstStep, INT64_MAX, "REPLAY_BLOCKED_TIMEOUT");
  const BenchmarkResult result = Result(Bench("w"));
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.samples.size(), 10u);
  EXPECT_TRUE(result.steps.empty());
  EXPECT_EQ(result.notes.at("steps_error"), "REPLAY_BLOCKED_TIMEOUT: so it is");
  EXPECT_EQ(Warnings(result), Strings{});
  EXPECT_TRUE(result.roofline.has_value());
}

TEST_F(BesideTheLatency, AFailureOfTheEmptyReplayIsANote) {
  Fail(kFirstOverhead, kFirstOverhead + 1, "REPLAY_BLOCKED_TIMEOUT");
  const BenchmarkResult result = Result(Bench("w"));
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.replay_overhead_seconds, 0);
  EXPECT_TRUE(result.notes.contains("replay_overhead_error"));
  EXPECT_EQ(result.steps.size(), 2u);
}

TEST_F(BesideTheLatency, AFailureOfASampleIsOneOfTheCase) {
  Fail(kFirstSample, INT64_MAX, "REPLAY_BLOCKED_TIMEOUT");
  EXPECT_EQ(Reason(Await(engine_->StartBenchmark(Bench("w"))).error), "REPLAY_BLOCKED_TIMEOUT");
}

TEST_F(BesideTheLatency, AFailureHidesNoWrongResult) {
  Fail(kFirstStep, INT64_MAX, "REPLAY_BLOCKED_TIMEOUT");
  device_->writes_nothing = true;
  EXPECT_EQ(Reason(Await(engine_->StartBenchmark(Bench("w"))).error), "RESULT_INCORRECT");
}

TEST_F(BesideTheLatency, ALostDeviceEndsTheRun) {
  Fail(kFirstStep, INT64_MAX, "DEVICE_LOST");
  EXPECT_EQ(Reason(Await(engine_->StartBenchmark(Bench("w"))).error), "DEVICE_LOST");
}

TEST_F(BesideTheLatency, StepsThatDoNotAddUpAreTold) {
  EXPECT_EQ(Result(Bench("w")).warnings, Strings{"STEPS_DO_NOT_ADD_UP"});  // two of 1 ms each
  device_->replays = 0;
  device_->replay_seconds = [](int64_t n) { return n < kFirstStep ? 1e-3 : 0.5e-3; };
  EXPECT_EQ(Result(Bench("w")).warnings, Strings{});
}

TEST_F(BesideTheLatency, ARotationThatACacheHoldsIsTold) {
  device_->info.last_level_cache_bytes = uint64_t{1} << 40;
  const BenchmarkResult result = Result(Bench("w"));
  EXPECT_EQ(Warnings(result), Strings{"ROTATION_IN_CACHE"});
  EXPECT_EQ(result.notes.at("rotation_exceeds_cache"), "false");
  // The fake device has no curve of cached reads, and that of memory does not hold.
  EXPECT_FALSE(result.roofline.has_value());
  BenchmarkSpec hot = Bench("w");
  hot.cache_mode = CacheMode::kHot;
  EXPECT_EQ(Warnings(Result(hot)), Strings{});
}

// ---- Locked clocks ----

TEST_F(BenchmarkConditionsTest, LockedClocksAreUnlockedAndJudgedBy) {
  monitor_->facts = {{"clock_sm_default_hertz", "2000000000"}};
  device_->replay_seconds = [](int64_t) { return 1e-3; };
  device_->replay_clock_hertz = [](int64_t) { return 1.9e9; };
  BenchmarkSpec spec = Bench("w");
  spec.lock_clocks = true;
  const BenchmarkResult result = Result(spec);
  EXPECT_EQ(result.conditions.clock_policy, "locked");
  EXPECT_EQ(Warnings(result), Strings{"CLOCK_DRIFT"});
  EXPECT_NE(result.comparability_key.find("clocks=locked"), std::string::npos);
  EXPECT_EQ(monitor_->locks, 1);
  EXPECT_EQ(monitor_->unlocks, 1);
}

TEST_F(BenchmarkConditionsTest, ARefusedLockFailsTheOperation) {
  monitor_->lock_status = MakeError(absl::StatusCode::kPermissionDenied, "CLOCK_LOCK_NOT_PERMITTED",
                                    "not as this user");
  BenchmarkSpec spec = Bench("w");
  spec.lock_clocks = true;
  EXPECT_EQ(Reason(Await(engine_->StartBenchmark(spec)).error), "CLOCK_LOCK_NOT_PERMITTED");
  EXPECT_EQ(monitor_->unlocks, 0);
  EXPECT_EQ(device_->replays, 0);
}

TEST_F(BenchmarkConditionsTest, ClocksAreUnlockedWhereTheRunFailsOrIsCancelled) {
  BenchmarkSpec spec = Bench("w");
  spec.lock_clocks = true;
  device_->writes_nothing = true;
  EXPECT_EQ(Reason(Await(engine_->StartBenchmark(spec)).error), "RESULT_INCORRECT");
  EXPECT_EQ(monitor_->unlocks, 1);
  device_->writes_nothing = false;
  Gate entered;
  Gate proceed;
  device_->on_replay = [&] {
    entered.Open();
    proceed.Wait();
  };
  const auto started = engine_->StartBenchmark(spec);
  entered.Wait();
  EXPECT_TRUE(engine_->CancelOperation(started->id).ok());
  proceed.Open();
  EXPECT_EQ(Await(started).state, OperationState::kCancelled);
  EXPECT_EQ(monitor_->locks, 2);
  EXPECT_EQ(monitor_->unlocks, 2);
}

}  // namespace
}  // namespace qtipd
