#include "server/telemetry/nvml_monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "kernels/api/error.h"
#include "server/telemetry/clock_lock.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_nvml.h"
#include "tests/fakes/temp_dir.h"

namespace qtipd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using enum NvmlQuantity;

constexpr int kOwnPid = 100;

class NvmlMonitorTest : public testing::Test {
 protected:
  NvmlMonitorTest() {
    info_.id = "cuda:0";
    info_.uuid = "GPU-1";
    info_.properties["pci_bus_id"] = "0000:18:00.0";
    nvml_->values[kSmClockDefaultMhz] = 1980;
  }
  std::unique_ptr<DeviceMonitor> Monitor() {
    auto monitor = MakeNvmlMonitor(
        nvml_, info_, clock_,
        {.marker_directory = directory_.path(), .own_pid = kOwnPid, .root = directory_ / "root"});
    EXPECT_TRUE(monitor.ok()) << monitor.status();
    return *std::move(monitor);
  }
  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = directory_ / ("root" + path);
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  void AddProcess(uint32_t pid, const std::string& name, int parent) {
    nvml_->processes->push_back({pid, 512 << 20});
    const std::string folder = "/proc/" + std::to_string(pid);
    Write(folder + "/comm", name + "\n");
    Write(folder + "/stat", std::to_string(pid) + " (a ) b) S " + std::to_string(parent) + " 1 1");
  }
  bool HasMarker() { return std::filesystem::exists(directory_ / "locked-clocks.GPU-1"); }
  static std::string Reason(const absl::Status& status) { return GetErrorInfo(status).reason; }

  std::shared_ptr<FakeNvml> nvml_ = std::make_shared<FakeNvml>();
  FakeClock clock_;
  TempDir directory_;
  DeviceInfo info_;
};

TEST_F(NvmlMonitorTest, ReadsInBaseUnits) {
  nvml_->values = {{kSmClockMhz, 1755},        {kMemoryClockMhz, 3201},
                   {kTemperatureCelsius, 41},  {kPowerMilliwatts, 123'456},
                   {kEnergyMillijoules, 2500}, {kEccCorrected, 3},
                   {kEccUncorrected, 0}};
  const DeviceReading reading = Monitor()->Read();
  EXPECT_EQ(reading.clock_hertz, 1755e6);
  EXPECT_EQ(reading.memory_clock_hertz, 3201e6);
  EXPECT_EQ(reading.temperature_celsius, 41);
  EXPECT_DOUBLE_EQ(*reading.power_watts, 123.456);
  EXPECT_DOUBLE_EQ(Monitor()->ReadEnergy()->joules, 2.5);
  EXPECT_EQ(reading.ecc_corrected_errors, 3u);
  EXPECT_EQ(reading.ecc_uncorrected_errors, 0u);
}

TEST_F(NvmlMonitorTest, WhatIsNotToldIsAbsent) {
  nvml_->values.clear();
  EXPECT_FALSE(Monitor()->ReadEnergy());
  const DeviceReading reading = Monitor()->Read();
  EXPECT_FALSE(reading.clock_hertz || reading.power_watts || reading.temperature_celsius ||
               reading.ecc_corrected_errors);
  EXPECT_THAT(reading.clock_events, IsEmpty());
}

TEST_F(NvmlMonitorTest, IdleAndApplicationClocksAreNoEvents) {
  nvml_->values[kClockEventReasons] = 0x1 | 0x2 | 0x100;
  const auto monitor = Monitor();
  EXPECT_THAT(monitor->Read().clock_events, IsEmpty());
  nvml_->values[kClockEventReasons] = 0x1fc | 0x3;
  EXPECT_THAT(monitor->Read().clock_events,
              ElementsAre("SW_POWER_CAP", "HW_SLOWDOWN", "SYNC_BOOST", "SW_THERMAL_SLOWDOWN",
                          "HW_THERMAL_SLOWDOWN", "HW_POWER_BRAKE_SLOWDOWN"));
}

TEST_F(NvmlMonitorTest, NamesTheProcessesOfOthers) {
  AddProcess(kOwnPid, "qtipd", 1);
  AddProcess(200, "qtip-profiler", kOwnPid);
  AddProcess(300, "python3", 1);
  EXPECT_THAT(Monitor()->Read().foreign_work, ElementsAre("pid 300 python3 512 MiB"));
}

TEST_F(NvmlMonitorTest, OneProcessThatTheContainerHidesIsOurselves) {
  nvml_->processes = {{4711, std::nullopt}};
  const auto monitor = Monitor();
  EXPECT_THAT(monitor->Read().foreign_work, IsEmpty());
  nvml_->processes = {{4711, std::nullopt}, {4712, std::nullopt}, {4713, std::nullopt}};
  clock_.Advance(1);
  EXPECT_THAT(monitor->Read().foreign_work,
              ElementsAre("2 processes that this container does not show"));
}

TEST_F(NvmlMonitorTest, AHiddenProcessIsForeignWhereWeAreListedOurselves) {
  AddProcess(kOwnPid, "qtipd", 1);
  nvml_->processes->push_back({4711, std::nullopt});
  EXPECT_THAT(Monitor()->Read().foreign_work,
              ElementsAre("1 process that this container does not show"));
}

TEST_F(NvmlMonitorTest, AsksForWhatIsSlowOnAGridOfTime) {
  const auto monitor = Monitor();
  for (int i = 0; i < 16; ++i) {  // 0.9375 s, in steps that a double holds exactly
    monitor->Read();
    clock_.Advance(0.0625);
  }
  EXPECT_EQ(nvml_->reads[kSmClockMhz], 16);
  EXPECT_EQ(nvml_->reads[kEccCorrected], 1);
  EXPECT_EQ(nvml_->reads[kEnergyMillijoules], 0);
  EXPECT_EQ(nvml_->process_reads, 4);  // at 0, 0.25, 0.5 and 0.75 s
}

TEST_F(NvmlMonitorTest, AsksForEverythingWhereItIsWantedNow) {
  const auto monitor = Monitor();
  nvml_->values[kEccCorrected] = 1;
  EXPECT_EQ(monitor->Read().ecc_corrected_errors, 1u);
  nvml_->values[kEccCorrected] = 2;
  EXPECT_EQ(monitor->Read().ecc_corrected_errors, 1u);
  EXPECT_EQ(monitor->Read(Freshness::kNow).ecc_corrected_errors, 2u);
  EXPECT_EQ(monitor->Read().ecc_corrected_errors, 2u);
  EXPECT_EQ(nvml_->process_reads, 2);
}

TEST_F(NvmlMonitorTest, TheLastLookIsNoLook) {
  nvml_->values[kTemperatureCelsius] = 41;
  const auto monitor = Monitor();
  EXPECT_FALSE(monitor->Read(Freshness::kLast).temperature_celsius);
  monitor->Read();
  nvml_->values[kTemperatureCelsius] = 42;
  nvml_->reads.clear();
  EXPECT_EQ(monitor->Read(Freshness::kLast).temperature_celsius, 41);
  EXPECT_TRUE(nvml_->reads.empty());
}

TEST_F(NvmlMonitorTest, ReadsTheEnergyWheneverItIsAskedFor) {
  nvml_->values[kEnergyMillijoules] = 1000;
  const auto monitor = Monitor();
  clock_.Advance(5);
  EXPECT_EQ(monitor->ReadEnergy()->joules, 1);
  EXPECT_EQ(monitor->ReadEnergy()->seconds, 5);
  nvml_->values[kEnergyMillijoules] = 9000;
  EXPECT_EQ(monitor->ReadEnergy()->joules, 9);
}

TEST_F(NvmlMonitorTest, TellsWhoWorksFromWhoHoldsMemoryOnly) {
  AddProcess(kOwnPid, "qtipd", 1);
  AddProcess(300, "python3", 1);
  AddProcess(400, "Xorg", 1);
  nvml_->uses = {{kOwnPid, 90}, {300, 5}, {400, 0}};
  const DeviceReading reading = Monitor()->Read();
  EXPECT_THAT(reading.foreign_work, ElementsAre("pid 300 python3 512 MiB"));
  EXPECT_THAT(reading.idle_processes, ElementsAre("pid 400 Xorg 512 MiB"));
  EXPECT_EQ(nvml_->uses_since, static_cast<uint64_t>(clock_.NowUnixMillis() - 2000) * 1000);
}

TEST_F(NvmlMonitorTest, NobodyWorksWhereTheDriverSampledNobody) {
  AddProcess(300, "python3", 1);
  nvml_->uses = std::vector<NvmlProcessUse>();
  const DeviceReading reading = Monitor()->Read();
  EXPECT_THAT(reading.foreign_work, IsEmpty());
  EXPECT_EQ(reading.idle_processes.size(), 1u);
}

TEST_F(NvmlMonitorTest, PresenceCountsWhereUseCannotBeToldApart) {
  AddProcess(300, "python3", 1);
  nvml_->uses = {{4711, 50}};  // of another PID namespace
  EXPECT_THAT(Monitor()->Read().foreign_work, ElementsAre("pid 300 python3 512 MiB"));
}

TEST_F(NvmlMonitorTest, AProcessThatHasEndedMakesNobodySuspect) {
  AddProcess(kOwnPid, "qtipd", 1);
  AddProcess(400, "Xorg", 1);
  nvml_->uses = {{kOwnPid, 90}, {300, 50}};
  EXPECT_THAT(Monitor()->Read().foreign_work, IsEmpty());
}

TEST_F(NvmlMonitorTest, OfHiddenProcessesOneThatWorksIsOurselves) {
  nvml_->processes = {{1, std::nullopt}, {2, std::nullopt}, {3, std::nullopt}};
  nvml_->uses = {{2, 90}, {3, 0}};
  const DeviceReading reading = Monitor()->Read();
  EXPECT_THAT(reading.foreign_work, IsEmpty());
  EXPECT_THAT(reading.idle_processes, ElementsAre("2 processes that this container does not show"));
}

TEST_F(NvmlMonitorTest, SaysThatItDoesNotKnowWhoElseIsThere) {
  EXPECT_FALSE(Monitor()->Facts().contains("foreign_work"));
  nvml_->processes.reset();
  EXPECT_THAT(Monitor()->Read().foreign_work, IsEmpty());
  EXPECT_EQ(Monitor()->Facts()["foreign_work"], "unknown");
}

TEST_F(NvmlMonitorTest, FactsHaveNamesAndUnits) {
  nvml_->values = {{kSmClockDefaultMhz, 1980},
                   {kPowerLimitMilliwatts, 699'500},
                   {kEccMode, 1},
                   {kPersistenceMode, 0},
                   {kComputeMode, 3},
                   {kMigMode, 0},
                   {kPcieGeneration, 5},
                   {kPcieWidth, 16}};
  Write("/sys/bus/pci/devices/0000:18:00.0/numa_node", "1\n");
  const std::map<std::string, std::string> expected = {{"clock_sm_default_hertz", "1980000000"},
                                                       {"compute_mode", "exclusive_process"},
                                                       {"driver_version", "580.1"},
                                                       {"ecc_mode", "on"},
                                                       {"mig_mode", "off"},
                                                       {"numa_node", "1"},
                                                       {"pcie_generation", "5"},
                                                       {"pcie_width", "16"},
                                                       {"persistence_mode", "off"},
                                                       {"power_limit_watts", "699.5"}};
  EXPECT_EQ(Monitor()->Facts(), expected);
}

TEST_F(NvmlMonitorTest, FindsADeviceByItsBusWhereTheUuidIsUnknown) {
  info_.uuid = "";
  nvml_->values[kTemperatureCelsius] = 30;
  EXPECT_EQ(Monitor()->Read().temperature_celsius, 30);
  info_.properties["pci_bus_id"] = "0000:99:00.0";
  EXPECT_EQ(Reason(MakeNvmlMonitor(nvml_, info_, clock_, {}).status()), "NVML_DEVICE_NOT_FOUND");
}

TEST_F(NvmlMonitorTest, AMigInstanceSaysThatItsReadingsAreTheWholeGpus) {
  info_.uuid = "GPU-7";  // as CUDA spells it
  nvml_->mig_uuid = "MIG-7";
  nvml_->values[kMigMode] = 1;
  nvml_->mig_processes = {{4711, std::nullopt}, {4712, std::nullopt}};
  const auto monitor = Monitor();
  EXPECT_EQ(monitor->Facts()["mig_mode"], "on");
  EXPECT_EQ(monitor->Facts()["telemetry_of"], "the whole GPU of this MIG instance");
  EXPECT_EQ(monitor->Read().foreign_work.size(), 1u);
  EXPECT_EQ(Reason(monitor->LockClocks()), "CLOCK_LOCK_UNSUPPORTED");
  EXPECT_FALSE(nvml_->locked_mhz);
}

TEST_F(NvmlMonitorTest, LocksAtTheDefaultClockUntilItIsUnlocked) {
  const auto monitor = Monitor();
  ASSERT_TRUE(monitor->LockClocks().ok());
  ASSERT_TRUE(monitor->LockClocks().ok());
  EXPECT_EQ(nvml_->locked_mhz, (std::pair<uint32_t, uint32_t>{1980, 1980}));
  EXPECT_TRUE(HasMarker());
  ASSERT_TRUE(monitor->UnlockClocks().ok());
  ASSERT_TRUE(monitor->UnlockClocks().ok());
  EXPECT_FALSE(nvml_->locked_mhz);
  EXPECT_EQ(nvml_->resets, 1);
  EXPECT_FALSE(HasMarker());
}

TEST_F(NvmlMonitorTest, UnlocksAtItsEnd) {
  ASSERT_TRUE(Monitor()->LockClocks().ok());  // and is gone
  EXPECT_FALSE(nvml_->locked_mhz);
  EXPECT_EQ(nvml_->resets, 1);
  EXPECT_FALSE(HasMarker());
}

TEST_F(NvmlMonitorTest, LeavesClocksAloneThatItDidNotLock) {
  Monitor()->Read();
  EXPECT_EQ(nvml_->resets, 0);
}

TEST_F(NvmlMonitorTest, SaysWhatHelpsWhereLockingIsNotPermitted) {
  nvml_->lock_result = NvmlReturn::kNoPermission;
  const absl::Status status = Monitor()->LockClocks();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Reason(status), "CLOCK_LOCK_NOT_PERMITTED");
  EXPECT_EQ(GetErrorInfo(status).metadata.at("cure"),
            "sudo nvidia-smi -i GPU-1 --lock-gpu-clocks=1980,1980");
  EXPECT_FALSE(HasMarker());
}

TEST_F(NvmlMonitorTest, RefusesToLockWhatCannotBeLocked) {
  nvml_->lock_result = NvmlReturn::kNotSupported;
  EXPECT_EQ(Reason(Monitor()->LockClocks()), "CLOCK_LOCK_UNSUPPORTED");
  nvml_->lock_result = static_cast<NvmlReturn>(15);
  EXPECT_EQ(Reason(Monitor()->LockClocks()), "CLOCK_LOCK_FAILED");
  nvml_->values.erase(kSmClockDefaultMhz);
  EXPECT_EQ(Reason(Monitor()->LockClocks()), "CLOCK_LOCK_UNSUPPORTED");
  EXPECT_FALSE(HasMarker());
}

TEST_F(NvmlMonitorTest, DoesNotLockWithoutAMarker) {
  std::filesystem::remove_all(directory_.path());
  EXPECT_FALSE(Monitor()->LockClocks().ok());
  EXPECT_FALSE(nvml_->locked_mhz);
}

TEST_F(NvmlMonitorTest, KeepsTheMarkerWhileTheLockCannotBeUndone) {
  {
    const auto monitor = Monitor();
    ASSERT_TRUE(monitor->LockClocks().ok());
    nvml_->reset_result = NvmlReturn::kNoPermission;
    EXPECT_EQ(Reason(monitor->UnlockClocks()), "CLOCK_LOCK_NOT_PERMITTED");
  }
  EXPECT_TRUE(HasMarker());
}

TEST_F(NvmlMonitorTest, TheNextStartUndoesWhatAKilledProcessLeft) {
  std::ofstream(directory_ / "locked-clocks.GPU-1") << "1980 MHz\n";
  std::ofstream(directory_ / "locked-clocks.GPU-gone") << "1980 MHz\n";
  EXPECT_THAT(DevicesLeftLocked(directory_.path()), ElementsAre("GPU-1", "GPU-gone"));
  const auto restored = RestoreLockedClocks(*nvml_, directory_.path());
  ASSERT_EQ(restored.size(), 2u);
  EXPECT_TRUE(restored[0].status.ok());
  EXPECT_EQ(nvml_->resets, 1);
  EXPECT_EQ(Reason(restored[1].status), "CLOCKS_LEFT_LOCKED");
  EXPECT_THAT(DevicesLeftLocked(directory_.path()), ElementsAre("GPU-gone"));
}

TEST_F(NvmlMonitorTest, UndoesTheLockOfADeviceThatHasNoUuid) {
  std::ofstream(directory_ / "locked-clocks.0000:18:00.0") << "1980 MHz\n";
  EXPECT_TRUE(RestoreLockedClocks(*nvml_, directory_.path()).at(0).status.ok());
  EXPECT_EQ(nvml_->resets, 1);
}

}  // namespace
}  // namespace qtipd
