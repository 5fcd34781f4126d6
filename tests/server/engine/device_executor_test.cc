#include "server/engine/device/device_executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "kernels/api/error.h"
#include "server/engine/device/device_selection.h"
#include "tests/fakes/fake_device.h"
#include "tests/fakes/fake_metrics.h"
#include "tests/server/engine/engine_fixture.h"

namespace qtipd {
namespace {

class DeviceExecutorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    DeviceExecutor::Config config;
    config.backend = backend_.get();
    config.max_queue = 3;
    config.metrics = &metrics_;
    config.on_lost = [this](const std::string&) { ++losses_; };
    executor_ = *DeviceExecutor::Start(std::move(config));
  }
  std::shared_ptr<FakeDeviceControl> control_ = std::make_shared<FakeDeviceControl>();
  std::unique_ptr<Backend> backend_ = MakeFakeBackend(control_);
  FakeMetrics metrics_;
  std::atomic<int> losses_{0};
  std::unique_ptr<DeviceExecutor> executor_;
};

TEST_F(DeviceExecutorTest, RunsWorkInOrderOnOneThread) {
  std::vector<int> order;
  std::vector<std::thread::id> threads;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(executor_
                    ->Enqueue([&, i](DeviceLease&) {
                      order.push_back(i);
                      threads.push_back(std::this_thread::get_id());
                    })
                    .ok());
    if (i == 0) executor_->EnqueueHousekeeping([&](DeviceLease&) { order.push_back(10); });
    while (executor_->status().queue_depth > 0) std::this_thread::yield();
  }
  executor_->Stop();
  EXPECT_EQ(order, (std::vector<int>{0, 10, 1, 2}));
  EXPECT_EQ(threads, std::vector<std::thread::id>(3, threads[0]));
  EXPECT_NE(threads[0], std::this_thread::get_id());
}

TEST_F(DeviceExecutorTest, RefusesWhatItsQueueCannotHold) {
  Gate entered;
  Gate proceed;
  ASSERT_TRUE(executor_
                  ->Enqueue([&](DeviceLease&) {
                    entered.Open();
                    proceed.Wait();
                  })
                  .ok());
  entered.Wait();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(executor_->Enqueue([](DeviceLease&) {}).ok());
  EXPECT_EQ(executor_->status().queue_depth, 4);
  EXPECT_EQ(Reason(executor_->Enqueue([](DeviceLease&) {})), "QUEUE_FULL");
  proceed.Open();
  executor_->Stop();
}

TEST_F(DeviceExecutorTest, ALostDeviceTakesNoMoreWork) {
  Gate done;
  ASSERT_TRUE(executor_->Enqueue([&](DeviceLease&) { control_->is_lost = true; }).ok());
  executor_->EnqueueHousekeeping([&](DeviceLease& lease) {
    EXPECT_EQ(Reason(lease.health), "DEVICE_LOST");
    done.Open();
  });
  done.Wait();
  EXPECT_EQ(Reason(executor_->Enqueue([](DeviceLease&) {})), "DEVICE_UNHEALTHY");
  EXPECT_FALSE(executor_->status().is_healthy);
  executor_->Stop();
  EXPECT_EQ(losses_, 1);
  EXPECT_FALSE(metrics_.device("fake").is_healthy);
}

TEST_F(DeviceExecutorTest, RefusesWorkOnceStopped) {
  executor_->Stop();
  executor_->Stop();
  EXPECT_EQ(Reason(executor_->Enqueue([](DeviceLease&) {})), "SERVER_DRAINING");
}

TEST_F(DeviceExecutorTest, APinnedLayerStaysPinnedWhenItIsPutAgain) {
  Registry registry;
  AddFakeFormat(registry, std::make_shared<FakeFormatControl>());
  PackedLayer layer{.format = "fake", .shape = {4, 4}};
  layer.options = *CheckOptions((*registry.FindFormat("fake"))->schema(), {});
  layer.tensors["rounded"] = HostTensor::Take(DType::kF32, {4, 4}, std::vector<float>(16, 1));
  const FormatBackend& backend = **registry.FindBackend("fake", "fake");
  bool is_released = true;
  ASSERT_TRUE(executor_
                  ->Enqueue([&](DeviceLease& lease) {
                    for (const bool is_pinned : {true, false}) {
                      lease.residents.Put("sha", "fake", *backend.Load(lease.device, layer),
                                          is_pinned);
                    }
                    is_released = lease.residents.ReleaseUnpinned();
                  })
                  .ok());
  executor_->Stop();
  EXPECT_FALSE(is_released);
}

TEST_F(DeviceExecutorTest, MemoryFollowsTheLastWork) {
  ASSERT_TRUE(executor_->Enqueue([&](DeviceLease&) { control_->free_bytes = 77; }).ok());
  executor_->Stop();
  EXPECT_EQ(executor_->status().memory.free_bytes, 77u);
}

// ---- Selection ----

class SelectionTest : public ::testing::Test {
 protected:
  void Add(const std::string& id) {
    auto control = std::make_shared<FakeDeviceControl>();
    control->info.backend = id;
    backends_.push_back(MakeFakeBackend(control));
  }
  std::string Select(const std::string& selection) {
    const auto choices = SelectDevices(selection, backends_, status_);
    if (!choices.ok()) return Reason(choices.status());
    return std::string(choices->at(0).backend->id()) + ":" + std::to_string(choices->at(0).index);
  }
  std::vector<std::unique_ptr<Backend>> backends_;
  std::vector<BackendStatus> status_;
};

TEST_F(SelectionTest, AutoPrefersWhatIsNotTheCpu) {
  Add("cpu");
  EXPECT_EQ(Select("auto"), "cpu:0");
  Add("cuda");
  EXPECT_EQ(Select("auto"), "cuda:0");
  EXPECT_EQ(Select("cpu"), "cpu:0");
  EXPECT_EQ(Select("cuda"), "cuda:0");
  EXPECT_EQ(Select("cuda:0"), "cuda:0");
  EXPECT_EQ(Select("cuda:1"), "DEVICE_NOT_FOUND");
}

TEST_F(SelectionTest, SaysWhyABackendIsMissing) {
  Add("cpu");
  status_.push_back({"cuda", false, "no driver"});
  const absl::Status status = SelectDevices("cuda", backends_, status_).status();
  EXPECT_NE(std::string(status.message()).find("cuda: no driver"), std::string::npos) << status;
  EXPECT_EQ(status_.size(), 2u);
}

}  // namespace
}  // namespace qtipd
