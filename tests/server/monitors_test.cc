#include "server/monitors.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "kernels/api/error.h"
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

}  // namespace
}  // namespace qtipd
