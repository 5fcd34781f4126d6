#include "server/telemetry/cpu_monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "kernels/api/error.h"
#include "kernels/io/host_facts.h"
#include "server/telemetry/cpu_counters.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_root.h"

namespace qtipd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CpuMonitorTest : public testing::Test {
 protected:
  // Seconds of CPU time since boot, of four CPUs.
  void SetCpuTime(double busy, double own, double steal = 0, double idle = 100) {
    const auto ticks = [](double seconds) {
      return std::to_string(std::llround(seconds * static_cast<double>(second_))) + " ";
    };
    root_.Write("/proc/stat", "cpu  " + ticks(busy) + "0 0 " + ticks(idle) + "0 0 0 " +
                                  ticks(steal) + "0 0\ncpu0 1\ncpu1 1\ncpu2 1\ncpu3 1\nintr 1\n");
    root_.Write("/proc/self/stat", "7 (a b) c) S 1 7 7 0 -1 0 0 0 0 0 " + ticks(own) + "0 0 0\n");
  }
  std::unique_ptr<DeviceMonitor> Monitor() { return MakeCpuMonitor(clock_, root_.path()); }

  static inline const int64_t second_ = sysconf(_SC_CLK_TCK);
  FakeRoot root_;
  FakeClock clock_;
};

TEST_F(CpuMonitorTest, TellsNothingWhereTheKernelTellsNothing) {
  const auto monitor = Monitor();
  clock_.Advance(1);
  const DeviceReading reading = monitor->Read();
  EXPECT_FALSE(reading.clock_hertz || reading.temperature_celsius || monitor->ReadEnergy());
  EXPECT_THAT(reading.foreign_work, IsEmpty());
  EXPECT_EQ(monitor->Facts(), (std::map<std::string, std::string>{{"hypervisor", "no"}}));
}

TEST_F(CpuMonitorTest, ReadsTheClockOfCpufreqOrOfCpuinfo) {
  root_.Write("/proc/cpuinfo", "cpu MHz\t\t: 2000.5\nflags\t: x\ncpu MHz\t\t: 2100.5\n");
  EXPECT_EQ(Monitor()->Read().clock_hertz, 2050.5e6);
  root_.Write("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "3000000\n");
  root_.Write("/sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "4000000\n");
  root_.Write("/sys/devices/system/cpu/cpuidle/current_driver", "none\n");
  EXPECT_EQ(Monitor()->Read().clock_hertz, 3.5e9);
}

TEST_F(CpuMonitorTest, TakesTheHottestSensorOfTheCpu) {
  root_.Write("/sys/class/thermal/thermal_zone0/type", "x86_pkg_temp\n");
  root_.Write("/sys/class/thermal/thermal_zone0/temp", "48500\n");
  EXPECT_EQ(Monitor()->Read().temperature_celsius, 48.5);
  root_.Write("/sys/class/hwmon/hwmon0/name", "nvme\n");
  root_.Write("/sys/class/hwmon/hwmon0/temp1_input", "90000\n");
  root_.Write("/sys/class/hwmon/hwmon1/name", "coretemp\n");
  root_.Write("/sys/class/hwmon/hwmon1/temp1_input", "51000\n");
  root_.Write("/sys/class/hwmon/hwmon1/temp2_input", "55000\n");
  EXPECT_EQ(Monitor()->Read().temperature_celsius, 55);
}

TEST_F(CpuMonitorTest, CountsPackageEnergyAcrossItsWrap) {
  const std::string zone = "/sys/class/powercap/intel-rapl:0";
  root_.Write(zone + "/name", "package-0\n");
  root_.Write(zone + "/max_energy_range_uj", "10000000\n");
  root_.Write(zone + "/energy_uj", "9000000\n");
  root_.Write("/sys/class/powercap/intel-rapl:0:0/name", "core\n");
  root_.Write("/sys/class/powercap/intel-rapl:0:0/energy_uj", "5\n");
  const auto monitor = Monitor();
  EXPECT_EQ(monitor->ReadEnergy()->joules, 0);
  root_.Write(zone + "/energy_uj", "500000\n");
  clock_.Advance(2);
  EXPECT_DOUBLE_EQ(monitor->ReadEnergy()->joules, 1.5);
  EXPECT_EQ(monitor->ReadEnergy()->seconds, 2);
}

TEST_F(CpuMonitorTest, EveryNewThermalEventIsToldOnce) {
  const std::string cpu = "/sys/devices/system/cpu/cpu0/thermal_throttle/";
  root_.Write(cpu + "core_throttle_count", "3\n");
  root_.Write(cpu + "package_throttle_count", "4\n");
  const auto monitor = Monitor();
  EXPECT_THAT(monitor->Read().clock_events, IsEmpty());
  root_.Write(cpu + "package_throttle_count", "5\n");
  clock_.Advance(1);
  EXPECT_THAT(monitor->Read().clock_events, ElementsAre("HW_THERMAL_SLOWDOWN"));
  clock_.Advance(1);
  EXPECT_THAT(monitor->Read().clock_events, IsEmpty());
}

TEST_F(CpuMonitorTest, OwnWorkIsNotForeign) {
  SetCpuTime(10, 5);
  const auto monitor = Monitor();
  clock_.Advance(1);
  SetCpuTime(14, 9);
  EXPECT_THAT(monitor->Read().foreign_work, IsEmpty());
}

TEST_F(CpuMonitorTest, TellsTheWorkOfOthersForASecond) {
  SetCpuTime(10, 5);
  const auto monitor = Monitor();
  clock_.Advance(1);
  SetCpuTime(13, 6.5);
  EXPECT_THAT(monitor->Read().foreign_work, ElementsAre("other processes: 1.50 of 4 CPUs"));
  clock_.Advance(1);
  EXPECT_THAT(monitor->Read().foreign_work, ElementsAre("other processes: 1.50 of 4 CPUs"));
  clock_.Advance(1);
  EXPECT_THAT(monitor->Read().foreign_work, IsEmpty());
}

TEST_F(CpuMonitorTest, ALittleWorkOfOthersIsNormal) {
  SetCpuTime(10, 5);
  const auto monitor = Monitor();
  clock_.Advance(1);
  SetCpuTime(10.09, 5);
  EXPECT_THAT(monitor->Read().foreign_work, IsEmpty());
}

TEST_F(CpuMonitorTest, DoesNotJudgeAWindowThatIsTooShort) {
  SetCpuTime(10, 5);
  const auto monitor = Monitor();
  clock_.Advance(0.25);
  SetCpuTime(11, 5);
  EXPECT_THAT(monitor->Read().foreign_work, IsEmpty());
  clock_.Advance(0.25);
  EXPECT_EQ(monitor->Read().foreign_work.size(), 1u);
}

TEST_F(CpuMonitorTest, AStepOfTheKernelsCountersIsNoWork) {
  SetCpuTime(10, 5);
  const auto monitor = Monitor();
  monitor->Read(Freshness::kBegin);
  clock_.Advance(0.0625);
  SetCpuTime(10.03, 5);  // 0.48 CPUs, as it seems
  EXPECT_THAT(monitor->Read(Freshness::kNow).foreign_work, IsEmpty());
  clock_.Advance(0.0625);
  SetCpuTime(10.09, 5);  // six steps
  EXPECT_THAT(monitor->Read(Freshness::kNow).foreign_work,
              ElementsAre("other processes: 0.96 of 4 CPUs"));
}

TEST_F(CpuMonitorTest, WhatWasBeforeTheBeginIsNotTold) {
  const std::string throttles =
      "/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count";
  root_.Write(throttles, "4\n");
  SetCpuTime(10, 5);
  const auto monitor = Monitor();
  clock_.Advance(1);
  SetCpuTime(12, 5);
  EXPECT_EQ(monitor->Read().foreign_work.size(), 1u);
  clock_.Advance(0.5);
  root_.Write(throttles, "5\n");
  SetCpuTime(3612, 5);
  const DeviceReading begin = monitor->Read(Freshness::kBegin);
  EXPECT_THAT(begin.foreign_work, IsEmpty());
  EXPECT_THAT(begin.clock_events, IsEmpty());
  clock_.Advance(0.5);
  const DeviceReading later = monitor->Read();
  EXPECT_THAT(later.foreign_work, IsEmpty());
  EXPECT_THAT(later.clock_events, IsEmpty());
  root_.Write(throttles, "6\n");
  EXPECT_THAT(monitor->Read(Freshness::kNow).clock_events, ElementsAre("HW_THERMAL_SLOWDOWN"));
}

TEST_F(CpuMonitorTest, TheLastLookIsNoLook) {
  SetCpuTime(10, 5);
  const auto monitor = Monitor();
  clock_.Advance(1);
  SetCpuTime(13, 6.5);
  EXPECT_THAT(monitor->Read(Freshness::kLast).foreign_work, IsEmpty());
  EXPECT_EQ(monitor->Read().foreign_work.size(), 1u);
  clock_.Advance(10);
  EXPECT_EQ(monitor->Read(Freshness::kLast).foreign_work.size(), 1u);
}

TEST_F(CpuMonitorTest, TellsWhatTheHypervisorTook) {
  SetCpuTime(10, 5, 1, 100);
  const auto monitor = Monitor();
  clock_.Advance(1);
  SetCpuTime(11, 6, 2, 108);
  EXPECT_THAT(monitor->Read().foreign_work,
              ElementsAre("hypervisor: 10.0 % of the time of 4 CPUs"));
}

TEST_F(CpuMonitorTest, Facts) {
  const std::string system = "/sys/devices/system";
  root_.Write(system + "/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
  root_.Write(system + "/cpu/cpu1/cpufreq/scaling_governor", "performance\n");
  root_.Write(system + "/cpu/cpu0/cpufreq/scaling_driver", "intel_pstate\n");
  root_.Write(system + "/cpu/intel_pstate/no_turbo", "0\n");
  root_.Write(system + "/cpu/smt/active", "1\n");
  root_.Write(system + "/node/online", "0-1\n");
  root_.Write(system + "/clocksource/clocksource0/current_clocksource", "tsc\n");
  root_.Write("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
  root_.Write("/proc/sys/kernel/perf_event_paranoid", "2\n");
  root_.Write("/proc/cpuinfo", "flags\t\t: fpu hypervisor\n");
  root_.Write("/proc/self/cgroup", "0::/job\n");
  root_.Write("/sys/fs/cgroup/job/cpu.max", "150000 100000\n");
  const std::map<std::string, std::string> expected = {{"clock_source", "tsc"},
                                                       {"cpu_frequency_driver", "intel_pstate"},
                                                       {"cpu_governor", "performance, powersave"},
                                                       {"cpu_quota", "1.5"},
                                                       {"cpu_smt", "on"},
                                                       {"cpu_turbo", "on"},
                                                       {"hypervisor", "yes"},
                                                       {"numa_nodes", "0-1"},
                                                       {"perf_event_paranoid", "2"},
                                                       {"transparent_hugepages", "madvise"}};
  EXPECT_EQ(Monitor()->Facts(), expected);
}

TEST_F(CpuMonitorTest, DoesNotLockClocks) {
  const auto monitor = Monitor();
  EXPECT_EQ(GetErrorInfo(monitor->LockClocks()).reason, "CLOCK_LOCK_UNSUPPORTED");
  EXPECT_TRUE(monitor->UnlockClocks().ok());
}

TEST(CpuCounters, OfThisMachineAreThere) {
  const auto counters = ReadCpuCounters();
  ASSERT_TRUE(counters);
  EXPECT_GT(counters->cpus, 0);
  EXPECT_GE(counters->total_seconds, counters->busy_seconds);
}

TEST(HostCpuLimit, SumsThrottlingAndTakesTheSmallestQuota) {
  FakeRoot root;
  EXPECT_EQ(ReadHostCpuLimit(root.path()).quota_cpus, 0);
  root.Write("/proc/self/cgroup", "0::/a/b\n");
  root.Write("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
  root.Write("/sys/fs/cgroup/a/cpu.stat", "nr_periods 10\nnr_throttled 2\n");
  root.Write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  root.Write("/sys/fs/cgroup/a/b/cpu.stat", "nr_throttled 3\n");
  const HostCpuLimit limit = ReadHostCpuLimit(root.path());
  EXPECT_EQ(limit.quota_cpus, 3);
  EXPECT_EQ(limit.throttled_periods, 5u);
}

}  // namespace
}  // namespace qtipd
