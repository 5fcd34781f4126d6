// A whole engine over a temporary directory, the fake device, format and path.
#ifndef QTIPD_TESTS_SERVER_ENGINE_ENGINE_FIXTURE_H_
#define QTIPD_TESTS_SERVER_ENGINE_ENGINE_FIXTURE_H_

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/io/safetensors.h"
#include "server/base/sha256.h"
#include "server/engine/engine.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_device.h"
#include "tests/fakes/fake_format.h"
#include "tests/fakes/fake_metrics.h"
#include "tests/fakes/fake_monitor.h"
#include "tests/fakes/fake_path.h"
#include "tests/fakes/temp_dir.h"

namespace qtipd {

// A gate that one thread waits at until another opens it.
class Gate {
 public:
  void Open() {
    std::lock_guard lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }
  void Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return is_open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_open_ = false;
};

inline std::string Reason(const absl::Status& status) { return GetErrorInfo(status).reason; }

class EngineFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    config_.data_dir = directory_ / "data";
    config_.device_selection = "fake";
    config_.build_info = {{"version", "test"}};
    config_.make_monitor = FakeMonitors(monitor_);
    Open();
  }

  absl::Status TryOpen() {
    engine_.reset();
    auto registry = std::make_unique<Registry>();
    AddFakeFormat(*registry, format_);
    registry->AddPath(MakeFakePath());
    std::vector<std::unique_ptr<Backend>> backends;
    backends.push_back(MakeFakeBackend(device_));
    auto engine =
        Engine::Create(config_, std::move(registry), std::move(backends), {}, metrics_, clock_);
    if (engine.ok()) engine_ = *std::move(engine);
    return engine.status();
  }
  void Open() {
    const absl::Status status = TryOpen();
    ASSERT_TRUE(status.ok()) << status;
  }

  static QuantizeSpec Random(const std::string& name, Shape shape = {8, 8}) {
    QuantizeSpec spec;
    spec.name = name;
    spec.format = "fake";
    spec.random = RandomSource{.shape = shape, .seed = 7};
    return spec;
  }
  static BenchmarkSpec Bench(const std::string& artifact) {
    BenchmarkSpec spec;
    spec.artifact = artifact;
    spec.paths = {"fused"};
    spec.batches = {1};
    spec.samples = 10;
    return spec;
  }

  // Waits for the operation's terminal record.
  OperationRecord Await(const std::string& id) {
    Gate ended;
    OperationRecord last;
    auto watch = engine_->WatchOperation(id, [&](const OperationRecord& record) {
      if (!IsTerminal(record.state)) return;
      last = record;
      ended.Open();
    });
    EXPECT_TRUE(watch.ok()) << watch.status();
    if (watch.ok()) ended.Wait();
    return last;
  }
  // Starts nothing itself: the end of what `started` gave, or its error as a failed record.
  OperationRecord Await(const absl::StatusOr<OperationRecord>& started) {
    if (started.ok()) return Await(started->id);
    OperationRecord record;
    record.state = OperationState::kFailed;
    record.error = started.status();
    return record;
  }
  // Quantizes and expects that it succeeds.
  void Quantize(const std::string& name, Shape shape = {8, 8}) {
    const OperationRecord record = Await(engine_->StartQuantize(Random(name, shape)));
    ASSERT_EQ(record.state, OperationState::kSucceeded) << record.error;
  }
  // The reason with which quantizing fails, "" if it does not.
  std::string QuantizeReason(const QuantizeSpec& spec) {
    const OperationRecord record = Await(engine_->StartQuantize(spec));
    return record.error.ok() ? "" : Reason(record.error);
  }

  std::string Upload(const TensorMap& tensors) {
    const std::vector<std::byte> bytes = *BuildSafetensors(tensors);
    auto upload = engine_->BeginUpload();
    EXPECT_TRUE((*upload)->Write(bytes).ok());
    return *(*upload)->Finish(Sha256Hex(bytes));
  }
  static HostTensor Floats(std::vector<int64_t> shape, std::vector<float> values) {
    return HostTensor::Take(DType::kF32, std::move(shape), std::move(values));
  }

  TempDir directory_;
  FakeClock clock_;
  FakeMetrics metrics_;
  EngineConfig config_;
  std::shared_ptr<FakeDeviceControl> device_ = std::make_shared<FakeDeviceControl>();
  std::shared_ptr<FakeMonitorControl> monitor_ = std::make_shared<FakeMonitorControl>();
  std::shared_ptr<FakeFormatControl> format_ = std::make_shared<FakeFormatControl>();
  std::unique_ptr<Engine> engine_;
};

}  // namespace qtipd

#endif  // QTIPD_TESTS_SERVER_ENGINE_ENGINE_FIXTURE_H_
