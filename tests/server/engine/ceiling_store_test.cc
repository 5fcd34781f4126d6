// Ceilings over restarts, and that benchmarks measure one only once.
#include "server/engine/device/ceiling_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "tests/server/engine/engine_fixture.h"

namespace qtipd {
namespace {

DeviceInfo Gpu(const std::string& uuid) {
  DeviceInfo info;
  info.name = "Some GPU";
  info.uuid = uuid;
  return info;
}

DeviceCeiling Ceiling() {
  return {.read = {{1000, 1e-6}, {2000, 1.5e-6}},
          .copy = {{1000, 2e-6}},
          .read_cached = {{1000, 5e-7}},
          .launch_seconds = 5e-7,
          .overlapped_launch_seconds = 4e-7,
          .replay_seconds = 1e-6,
          .clock_hertz = 1.98e9,
          .rates = {{"issue", 1e12}}};
}

class CeilingStoreTest : public ::testing::Test {
 protected:
  CeilingStore Open(const std::string& boot = "boot-1", const std::string& build = "1+abc") {
    return CeilingStore(directory_ / ".", boot, build);
  }
  TempDir directory_;
};

TEST_F(CeilingStoreTest, KeepsACeilingOverARestart) {
  ASSERT_TRUE(Open().Save(Gpu("GPU-1"), Ceiling()).ok());
  const auto found = Open().Find(Gpu("GPU-1"));
  ASSERT_TRUE(found.has_value());
  ASSERT_EQ(found->read.size(), 2u);
  EXPECT_EQ(found->read[1].bytes, 2000u);
  EXPECT_EQ(found->read[1].seconds, 1.5e-6);
  EXPECT_EQ(found->copy.size(), 1u);
  ASSERT_EQ(found->read_cached.size(), 1u);
  EXPECT_EQ(found->read_cached[0].seconds, 5e-7);
  EXPECT_EQ(found->launch_seconds, 5e-7);
  EXPECT_EQ(found->overlapped_launch_seconds, 4e-7);
  EXPECT_EQ(found->replay_seconds, 1e-6);
  EXPECT_EQ(found->clock_hertz, 1.98e9);
  EXPECT_EQ(found->rates, Ceiling().rates);
}

TEST_F(CeilingStoreTest, KnowsNothingOfAnotherDeviceBootOrBuild) {
  ASSERT_TRUE(Open().Save(Gpu("GPU-1"), Ceiling()).ok());
  EXPECT_FALSE(Open().Find(Gpu("GPU-2")).has_value());
  EXPECT_FALSE(Open("boot-2").Find(Gpu("GPU-1")).has_value());
  EXPECT_FALSE(Open("boot-1", "2+def").Find(Gpu("GPU-1")).has_value());
}

TEST_F(CeilingStoreTest, NamesADeviceThatHasNoUuid) {
  ASSERT_TRUE(Open().Save(Gpu(""), Ceiling()).ok());
  EXPECT_TRUE(Open().Find(Gpu("")).has_value());
}

TEST_F(CeilingStoreTest, KeepsNothingOnDiskWithoutABootId) {
  CeilingStore store = CeilingStore(directory_ / ".", "", "1");
  ASSERT_TRUE(store.Save(Gpu("GPU-1"), Ceiling()).ok());
  EXPECT_TRUE(store.Find(Gpu("GPU-1")).has_value());
  EXPECT_FALSE(CeilingStore(directory_ / ".", "", "1").Find(Gpu("GPU-1")).has_value());
}

TEST_F(CeilingStoreTest, TakesADamagedFileAsNone) {
  for (const char* text : {"", "{", "[1]", "{\"GPU-1|boot-1|1+abc\": {\"read\": 1}}"}) {
    std::ofstream(directory_ / "ceiling.json") << text;
    EXPECT_FALSE(Open().Find(Gpu("GPU-1")).has_value()) << text;
  }
  EXPECT_TRUE(Open().Save(Gpu("GPU-1"), Ceiling()).ok());
  EXPECT_TRUE(Open().Find(Gpu("GPU-1")).has_value());
}

class CeilingOfEngine : public EngineFixture {
 protected:
  BenchmarkResult Benchmark() {
    const OperationRecord done = Await(engine_->StartBenchmark(Bench("w")));
    EXPECT_EQ(done.state, OperationState::kSucceeded) << done.error;
    const auto run = engine_->GetRun(done.result);
    return run.ok() ? run->results[0] : BenchmarkResult();
  }
};

TEST_F(CeilingOfEngine, IsMeasuredByTheFirstBenchmarkOnly) {
  Quantize("w");
  EXPECT_EQ(device_->ceilings, 0);
  EXPECT_FALSE(engine_->ListDevices()[0].ceiling.has_value());
  const BenchmarkResult result = Benchmark();
  ASSERT_TRUE(result.roofline.has_value());
  EXPECT_EQ(result.roofline->limit, "bandwidth");
  EXPECT_GT(result.roofline->fraction, 0);
  EXPECT_TRUE(result.packed_read_seconds.has_value());
  EXPECT_FALSE(result.phases.has_value());  // the fake format has no instrumented kernel
  Benchmark();
  EXPECT_EQ(device_->ceilings, 1);
  EXPECT_TRUE(engine_->ListDevices()[0].ceiling.has_value());
}

TEST_F(CeilingOfEngine, IsKnownAfterARestartOfTheDaemon) {
  Quantize("w");
  Benchmark();
  Open();
  Benchmark();
  EXPECT_EQ(device_->ceilings, ReadBootId().empty() ? 2 : 1);
}

TEST_F(CeilingOfEngine, LeavesTheRooflineOutWhereItCannotBeMeasured) {
  device_->ceiling =
      MakeError(absl::StatusCode::kResourceExhausted, "DEVICE_MEMORY_EXHAUSTED", "too full");
  Quantize("w");
  const BenchmarkResult result = Benchmark();
  EXPECT_FALSE(result.roofline.has_value());
  EXPECT_FALSE(result.packed_read_seconds.has_value());
  EXPECT_TRUE(result.status.ok());
  EXPECT_EQ(result.notes.at("ceiling_error"), "not measured: DEVICE_MEMORY_EXHAUSTED: too full");
}

TEST_F(CeilingOfEngine, IsNotKeptWhereTheDeviceWasDisturbedBeforeOrAfter) {
  Quantize("w");
  DeviceReading disturbed;
  // The readings of the ceiling come first; those of the benchmark itself do not matter to it.
  for (const int64_t at : {0, 1}) {
    for (const bool is_slow : {true, false}) {
      disturbed.clock_events = {is_slow ? "SW_THERMAL_SLOWDOWN" : "SW_POWER_CAP"};
      disturbed.foreign_work.clear();
      if (!is_slow) disturbed.foreign_work = {"pid 7 trainer 1 GiB"};
      monitor_->reads = 0;
      monitor_->read = [=](int64_t n) { return n == at ? disturbed : DeviceReading(); };
      const BenchmarkResult result = Benchmark();
      EXPECT_TRUE(result.roofline.has_value());
      EXPECT_EQ(std::count(result.warnings.begin(), result.warnings.end(), "CEILING_DOUBTFUL"), 1);
      EXPECT_EQ(result.notes.at("ceiling_error"),
                is_slow ? "disturbed: SW_THERMAL_SLOWDOWN" : "disturbed: pid 7 trainer 1 GiB");
      EXPECT_FALSE(engine_->ListDevices()[0].ceiling.has_value());
    }
  }
  EXPECT_EQ(device_->ceilings, 4);
}

TEST_F(CeilingOfEngine, IsKeptUnderAPowerCap) {
  Quantize("w");
  monitor_->read = [](int64_t) {
    DeviceReading reading;
    reading.clock_events = {"SW_POWER_CAP"};
    return reading;
  };
  EXPECT_FALSE(Benchmark().notes.contains("ceiling_error"));
  EXPECT_TRUE(engine_->ListDevices()[0].ceiling.has_value());
}

TEST_F(CeilingOfEngine, IsNotKeptWhereTheDeviceItselfDoubtsIt) {
  device_->ceiling->problem = "too little memory";
  Quantize("w");
  EXPECT_EQ(Benchmark().notes.at("ceiling_error"), "too little memory");
  EXPECT_FALSE(engine_->ListDevices()[0].ceiling.has_value());
}

}  // namespace
}  // namespace qtipd
