#include "server/monitors.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "kernels/api/error.h"
#include "server/engine/store/data_directory.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_nvml.h"
#include "tests/fakes/temp_dir.h"

namespace qtipd {
namespace {

class Monitors : public testing::Test {
 protected:
  static DeviceInfo Device(const std::string& backend, const std::string& uuid = "") {
    DeviceInfo info;
    info.id = backend + ":0";
    info.backend = backend;
    info.uuid = uuid;
    return info;
  }
  std::shared_ptr<FakeNvml> nvml_ = std::make_shared<FakeNvml>();
  FakeClock clock_;
  TempDir directory_;
};

TEST_F(Monitors, EachBackendHasItsOwn) {
  nvml_->values[NvmlQuantity::kTemperatureCelsius] = 41;
  const MonitorFactory make = MakeMonitorFactory(nvml_, directory_.path(), clock_);
  EXPECT_EQ(make(Device("cuda", "GPU-1"))->Read().temperature_celsius, 41);
  EXPECT_TRUE(make(Device("cpu"))->Facts().contains("hypervisor"));
  EXPECT_TRUE(make(Device("another"))->Facts().empty());
}

TEST_F(Monitors, AGpuWithoutNvmlTellsNothing) {
  EXPECT_TRUE(MakeMonitorFactory(nvml_, directory_.path(), clock_)(Device("cuda", "GPU-2"))
                  ->Facts()
                  .empty());
  const auto silent =
      MakeMonitorFactory(nullptr, directory_.path(), clock_)(Device("cuda", "GPU-1"));
  EXPECT_EQ(GetErrorInfo(silent->LockClocks()).reason, "CLOCK_LOCK_UNSUPPORTED");
}

TEST_F(Monitors, NvmlIsNotOpenedWhereNobodyWantsIt) {
  EXPECT_EQ(OpenNvmlIfWanted(false, directory_.path()), nullptr);
}

TEST_F(Monitors, UndoesWhatAKilledDaemonLeft) {
  const std::string marker = directory_ / "locked-clocks.GPU-1";
  std::ofstream(marker) << "1980 MHz\n";
  UndoLeftClockLocks(nullptr, directory_.path());
  EXPECT_TRUE(std::filesystem::exists(marker));
  UndoLeftClockLocks(nvml_.get(), directory_.path());
  EXPECT_EQ(nvml_->resets, 1);
  EXPECT_FALSE(std::filesystem::exists(marker));
}

TEST_F(Monitors, AnEndByForceUndoesTheLockThatIsHeld) {
  nvml_->values[NvmlQuantity::kSmClockDefaultMhz] = 1980;
  const auto monitor =
      MakeMonitorFactory(nvml_, directory_.path(), clock_)(Device("cuda", "GPU-1"));
  ASSERT_TRUE(monitor->LockClocks().ok());
  EXPECT_TRUE(UndoLeftClockLocksWithin(
      60, [this] { return nvml_; }, directory_.path()));
  EXPECT_FALSE(nvml_->locked_mhz);
  // A job's thread may lock once more before the process has ended; the next start looks.
  EXPECT_TRUE(std::filesystem::exists(directory_ / "locked-clocks.GPU-1"));
  UndoLeftClockLocks(nvml_.get(), directory_.path());
  EXPECT_EQ(nvml_->resets, 2);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "locked-clocks.GPU-1"));
}

TEST_F(Monitors, AnEndByForceDoesNotWaitForADriverThatHangs) {
  std::ofstream(directory_ / "locked-clocks.GPU-1") << "1980 MHz\n";
  std::promise<void> let_go;
  std::promise<void> ended;
  const auto hang = [&]() -> std::shared_ptr<Nvml> {
    let_go.get_future().wait();
    ended.set_value();
    return nullptr;
  };
  EXPECT_FALSE(UndoLeftClockLocksWithin(0, hang, directory_.path()));
  let_go.set_value();
  ended.get_future().wait();
}

TEST_F(Monitors, AnEndByForceOpensNothingWhereNothingIsLocked) {
  const auto open = []() -> std::shared_ptr<Nvml> {
    ADD_FAILURE();
    return nullptr;
  };
  EXPECT_TRUE(UndoLeftClockLocksWithin(0, open, directory_.path()));
  EXPECT_TRUE(ReleaseLeftClocks(open, directory_.path()).ok());
  EXPECT_FALSE(std::filesystem::exists(directory_ / "lock"));
}

TEST_F(Monitors, ReleasesTheClocksOfADeadDaemonOnly) {
  std::ofstream(directory_ / "locked-clocks.GPU-1") << "1980 MHz\n";
  const auto open = [this] { return nvml_; };
  {
    const auto running = LockDataDirectory(directory_.path());
    ASSERT_TRUE(running.ok());
    EXPECT_EQ(GetErrorInfo(ReleaseLeftClocks(open, directory_.path())).reason, "DATA_DIR_IN_USE");
    EXPECT_EQ(nvml_->resets, 0);
  }
  nvml_->reset_result = NvmlReturn::kNoPermission;
  EXPECT_EQ(GetErrorInfo(ReleaseLeftClocks(open, directory_.path())).reason, "CLOCKS_LEFT_LOCKED");
  nvml_->reset_result = NvmlReturn::kSuccess;
  EXPECT_TRUE(ReleaseLeftClocks(open, directory_.path()).ok());
  EXPECT_FALSE(std::filesystem::exists(directory_ / "locked-clocks.GPU-1"));
}

}  // namespace
}  // namespace qtipd
