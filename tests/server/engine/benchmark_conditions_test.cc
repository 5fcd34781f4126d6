// What a benchmark says of the device, through the whole engine.
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
  RunRecord last_run_;
};

TEST_F(BenchmarkConditionsTest, ACalmRunHasNoWarnings) {
  device_->replay_seconds = [](int64_t) { return 1e-3; };
  device_->replay_clock_hertz = [](int64_t) { return 1.5e9; };
  const BenchmarkResult result = Result(Bench("w"));
  EXPECT_TRUE(result.is_stable);
  EXPECT_EQ(result.warnings, Strings{});
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
  EXPECT_EQ(result.warnings, Strings{"UNSTABLE"});
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
  EXPECT_EQ(result.warnings, Strings{"FOREIGN_WORK"});
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
  EXPECT_EQ(result.warnings, (Strings{"THROTTLED", "CLOCK_DRIFT"}));
}

TEST_F(BenchmarkConditionsTest, MeasuresEnergyAfterTheSamples) {
  device_->replay_seconds = [](int64_t) { return 1e-3; };
  device_->on_replay = [this] { clock_.Advance(1e-3); };
  monitor_->read = [this](int64_t) {
    DeviceReading reading;
    reading.energy_joules = 300 * clock_.MonotonicSeconds();
    return reading;
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
  monitor_->read = [this](int64_t) {
    DeviceReading reading;
    reading.energy_joules = 300 * std::floor(clock_.MonotonicSeconds() * 10);
    return reading;
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

// ---- Locked clocks ----

TEST_F(BenchmarkConditionsTest, LockedClocksAreUnlockedAndJudgedBy) {
  monitor_->facts = {{"clock_sm_default_hertz", "2000000000"}};
  device_->replay_seconds = [](int64_t) { return 1e-3; };
  device_->replay_clock_hertz = [](int64_t) { return 1.9e9; };
  BenchmarkSpec spec = Bench("w");
  spec.lock_clocks = true;
  const BenchmarkResult result = Result(spec);
  EXPECT_EQ(result.conditions.clock_policy, "locked");
  EXPECT_EQ(result.warnings, Strings{"CLOCK_DRIFT"});
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
