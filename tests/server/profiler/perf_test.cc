#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "kernels/api/error.h"
#include "server/profiler/perf_profile.h"
#include "tests/fakes/temp_dir.h"

namespace qtipd {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Counters of a processor that is not there: two threads, every counter reads the same.
class PerfTest : public ::testing::Test {
 protected:
  PerfTest() {
    api_.root = directory_ / "root";
    api_.threads = [] { return std::vector<int>{11, 12}; };
    api_.open = [this](const PerfApi::Event& event) {
      if (const int error = refuse_(event); error != 0) return -error;
      opened_.push_back(event);
      return static_cast<int>(opened_.size());
    };
    api_.enable = [this](int, bool is_on) { enabled_ += is_on ? 1 : -1; };
    api_.read = [this](int fd, PerfReading& reading) {
      reading = reading_;
      reading.value += static_cast<uint64_t>(opened_[fd - 1].pid == 11 ? 1 : 0);
      return true;
    };
    api_.close = [this](int) { ++closed_; };
  }
  absl::StatusOr<ProfileData> Profile(const std::vector<std::string>& metrics,
                                      const std::string& preset = "") {
    ProfileTask task;
    task.metrics = metrics;
    task.preset = preset;
    return ProfileWithPerfEvents(api_, task, [this] {
      enabled_during_work_ = enabled_;
      return absl::OkStatus();
    });
  }
  void Write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = api_.root + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }

  // A memory controller of two sockets.
  void WriteController() {
    const std::string unit = "/sys/bus/event_source/devices/uncore_imc_0";
    Write(unit + "/type", "14\n");
    Write(unit + "/cpumask", "0,32\n");
    Write(unit + "/format/event", "config:0-7\n");
    Write(unit + "/format/umask", "config:8-15\n");
    Write(unit + "/events/cas_count_read", "event=0x04,umask=0x03\n");
    Write(unit + "/events/cas_count_read.scale", "0.5\n");
  }

  TempDir directory_;
  PerfApi api_;
  std::function<int(const PerfApi::Event&)> refuse_ = [](const auto&) { return 0; };
  PerfReading reading_{100, 1000, 1000};
  std::vector<PerfApi::Event> opened_;
  int enabled_ = 0;
  int enabled_during_work_ = 0;
  size_t closed_ = 0;
};

TEST_F(PerfTest, CountsEveryThreadWhileTheWorkRuns) {
  const auto data = Profile({"cycles"});
  ASSERT_TRUE(data.ok()) << data.status();
  ASSERT_EQ(data->metrics.size(), 1u);
  EXPECT_EQ(data->metrics[0].value, 201);
  EXPECT_EQ(data->source, "perf_event");
  EXPECT_EQ(enabled_during_work_, 2);
  EXPECT_EQ(enabled_, 0);
  EXPECT_EQ(closed_, opened_.size());
}

TEST_F(PerfTest, ScalesMultiplexedCountsAndSaysSo) {
  reading_ = {100, 1000, 250};
  const auto data = Profile({"cycles"});
  EXPECT_EQ(data->metrics[0].value, 4 * 201);
  EXPECT_EQ(data->notes.at("multiplexed.cycles"), "counted 25 % of the time, scaled up");
}

TEST_F(PerfTest, ACounterThatNeverRanIsNoZero) {
  reading_ = {0, 1000, 0};
  const auto data = Profile({"cycles", "task_clock"});
  EXPECT_FALSE(data.ok());
}

TEST_F(PerfTest, AThreadThatNeverRanCountsNothing) {
  api_.read = [](int fd, PerfReading& reading) {
    reading = fd == 1 ? PerfReading{5, 10, 10} : PerfReading{};
    return true;
  };
  EXPECT_EQ(Profile({"cycles"})->metrics[0].value, 5);
}

TEST_F(PerfTest, LeavesOutWhatTheProcessorLacks) {
  refuse_ = [](const PerfApi::Event& event) { return event.config == 0 ? ENOENT : 0; };
  const auto data = Profile({"cycles", "instructions"});
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->metrics[0].name, "instructions");
  EXPECT_THAT(data->unavailable_metrics, ElementsAre("cycles"));
}

TEST_F(PerfTest, RefusesByThePermissionAndNamesTheSetting) {
  Write("/proc/sys/kernel/perf_event_paranoid", "4\n");
  refuse_ = [](const auto&) { return EACCES; };
  const auto data = Profile({}, "stalls");
  EXPECT_EQ(data.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(GetErrorInfo(data.status()).reason, "PERF_EVENT_NOT_PERMITTED");
  EXPECT_EQ(GetErrorInfo(data.status()).metadata.at("perf_event_paranoid"), "4");
}

TEST_F(PerfTest, SaysTheLowerSettingWhereTheWholeMachinesCountersWereRefused) {
  WriteController();
  refuse_ = [](const PerfApi::Event& event) { return event.pid < 0 ? EACCES : 0; };
  const absl::Status alone = Profile({"memory_read_bytes"}).status();
  EXPECT_EQ(GetErrorInfo(alone).reason, "PERF_EVENT_NOT_PERMITTED");
  EXPECT_THAT(std::string(alone.message()), HasSubstr("set it to 0 or lower"));
  const auto beside = Profile({"memory_read_bytes", "cycles"});
  ASSERT_TRUE(beside.ok()) << beside.status();
  EXPECT_THAT(beside->notes.at("not_counted.memory_read_bytes"), HasSubstr("must be 0 or lower"));
  refuse_ = [](const auto&) { return EACCES; };
  EXPECT_THAT(std::string(Profile({"memory_read_bytes", "cycles"}).status().message()),
              HasSubstr("set it to 2 or lower"));
}

TEST_F(PerfTest, TooFewDescriptorsAreNoMissingCounters) {
  for (const int error : {EMFILE, ENFILE, ENOMEM}) {
    refuse_ = [error](const auto&) { return error; };
    const absl::Status status = Profile({}, "stalls").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(GetErrorInfo(status).reason, "PERF_EVENT_EXHAUSTED");
    EXPECT_EQ(GetErrorInfo(status).metadata.at("error"), std::strerror(error));
  }
}

TEST_F(PerfTest, RefusesAMachineWithoutCounters) {
  // A virtual machine: the kernel's own clock counts, nothing of the processor does.
  refuse_ = [](const PerfApi::Event& event) { return event.type == 0 ? ENOENT : 0; };
  EXPECT_EQ(GetErrorInfo(Profile({}, "stalls").status()).reason, "PERF_EVENT_UNSUPPORTED");
  EXPECT_TRUE(Profile({"task_clock"}).ok());
}

TEST_F(PerfTest, RefusesNamesThatNobodyKnows) {
  EXPECT_EQ(GetErrorInfo(Profile({"nonsense"}).status()).reason, "METRIC_UNKNOWN");
  EXPECT_EQ(GetErrorInfo(Profile({}, "nonsense").status()).reason, "PRESET_UNKNOWN");
  EXPECT_THAT(Profile({"nonsense", "cycles"})->unavailable_metrics, ElementsAre("nonsense"));
}

TEST_F(PerfTest, ReadsMemoryControllersSystemWide) {
  WriteController();
  const auto data = Profile({"memory_read_bytes"});
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->metrics[0].value, 2 * 100 * 0.5 * (1 << 20));
  ASSERT_EQ(opened_.size(), 2u);
  EXPECT_EQ(opened_[0].type, 14u);
  EXPECT_EQ(opened_[0].config, 0x0304u);
  EXPECT_EQ(opened_[0].pid, -1);
  EXPECT_EQ(opened_[1].cpu, 32);
}

TEST_F(PerfTest, WithoutControllersMemoryIsUnavailable) {
  const auto data = Profile({}, "memory");
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->unavailable_metrics, Contains("memory_read_bytes"));
}

TEST_F(PerfTest, TheKernelsClockCountsOnThisMachine) {
  ProfileTask task;
  task.metrics = {"task_clock"};
  volatile double sink = 0;
  const auto data = ProfileWithPerfEvents(SystemPerfApi(), task, [&] {
    for (int i = 0; i < 1000000; ++i) sink = sink + i;
    return absl::OkStatus();
  });
  if (!data.ok()) GTEST_SKIP() << data.status();
  EXPECT_GT(data->metrics[0].value, 0);
}

TEST_F(PerfTest, TheCatalogueNamesWhatAPresetTakes) {
  CatalogueTask task;
  task.preset = "memory";
  task.metrics = {"nonsense"};
  const auto catalogue = ReadPerfCatalogue(api_, task);
  EXPECT_EQ(catalogue->passes, 1);
  EXPECT_THAT(catalogue->selected_metrics, Contains("cache_misses"));
  EXPECT_THAT(catalogue->unavailable_metrics, ElementsAre("nonsense"));
  EXPECT_EQ(catalogue->metrics.size(), 11u);
}

}  // namespace
}  // namespace qtipd
