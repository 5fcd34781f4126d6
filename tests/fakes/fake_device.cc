#include "tests/fakes/fake_device.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

class FakeRecording final : public Recording {
 public:
  FakeRecording(std::shared_ptr<FakeDeviceControl> control, std::function<absl::Status()> enqueue)
      : control_(std::move(control)), enqueue_(std::move(enqueue)) {}
  absl::StatusOr<ReplayTiming> Replay() override {
    const int64_t index = control_->replays++;
    control_->on_replay();
    if (control_->is_lost) {
      return MakeError(absl::StatusCode::kInternal, "DEVICE_LOST", "the fake device is lost");
    }
    QTIPD_RETURN_IF_ERROR(control_->replay_status(index));
    if (!control_->writes_nothing) QTIPD_RETURN_IF_ERROR(enqueue_());
    return ReplayTiming{control_->replay_seconds(index), control_->replay_clock_hertz(index)};
  }

 private:
  std::shared_ptr<FakeDeviceControl> control_;
  std::function<absl::Status()> enqueue_;
};

// Naive, in fp32.
class FakeDense final : public DenseMultiply {
 public:
  explicit FakeDense(const DenseProblem& problem) : problem_(problem) {}
  absl::Status Run(const void* w, const void* x, void* y) override {
    const auto* weights = static_cast<const float*>(w);
    const auto* vectors = static_cast<const float*>(x);
    auto* out = static_cast<float*>(y);
    const int64_t in = problem_.in_features;
    for (int64_t b = 0; b < problem_.batch; ++b) {
      for (int64_t row = 0; row < problem_.out_features; ++row) {
        float sum = 0;
        for (int64_t j = 0; j < in; ++j) sum += weights[row * in + j] * vectors[b * in + j];
        *out++ = sum;
      }
    }
    return absl::OkStatus();
  }
  std::string description() const override { return "naive"; }
  std::map<std::string, double> candidate_seconds() const override { return {}; }

 private:
  const DenseProblem problem_;
};

class FakeDevice final : public Device {
 public:
  explicit FakeDevice(std::shared_ptr<FakeDeviceControl> control) : control_(std::move(control)) {}

  const DeviceInfo& info() const override { return control_->info; }
  absl::StatusOr<DeviceMemory> Memory() override {
    return DeviceMemory{control_->free_bytes, control_->info.memory_bytes};
  }
  absl::StatusOr<Buffer> Allocate(size_t bytes) override {
    QTIPD_RETURN_IF_ERROR(Health());
    if (bytes > control_->free_bytes) {
      return MakeError(absl::StatusCode::kResourceExhausted, "DEVICE_MEMORY_EXHAUSTED",
                       "the fake device is full");
    }
    control_->free_bytes -= bytes;
    ++control_->live_buffers;
    void* data = std::aligned_alloc(256, (bytes + 255) / 256 * 256 + 256);
    sizes_[data] = bytes;
    return Buffer(this, data, bytes);
  }
  absl::Status CopyToDevice(void* dst, const void* src, size_t bytes) override {
    return Copy(dst, src, bytes);
  }
  absl::Status CopyToHost(void* dst, const void* src, size_t bytes) override {
    return Copy(dst, src, bytes);
  }
  absl::Status Copy(void* dst, const void* src, size_t bytes) override {
    QTIPD_RETURN_IF_ERROR(Health());
    std::memcpy(dst, src, bytes);
    return absl::OkStatus();
  }
  absl::Status Fill(void* dst, uint8_t value, size_t bytes) override {
    QTIPD_RETURN_IF_ERROR(Health());
    std::memset(dst, value, bytes);
    return absl::OkStatus();
  }
  absl::Status Synchronize() override { return Health(); }
  absl::Status Convert(void* dst, DType dst_dtype, const void* src, DType src_dtype,
                       int64_t count) override {
    QTIPD_RETURN_IF_ERROR(Health());
    QTIPD_RETURN_IF_ERROR(CheckConvertible(dst_dtype, src_dtype));
    ConvertFloats(dst, dst_dtype, src, src_dtype, count);
    return absl::OkStatus();
  }
  absl::Status FlushCaches() override {
    ++control_->flushes;
    return Health();
  }
  absl::StatusOr<std::unique_ptr<Recording>> Record(
      const std::function<absl::Status()>& enqueue) override {
    QTIPD_RETURN_IF_ERROR(enqueue());
    return std::make_unique<FakeRecording>(control_, enqueue);
  }
  absl::StatusOr<std::unique_ptr<DenseMultiply>> PrepareDense(
      const DenseProblem& problem) override {
    return std::make_unique<FakeDense>(problem);
  }
  absl::StatusOr<DeviceCeiling> MeasureCeiling(const std::function<bool()>&) override {
    ++control_->ceilings;
    QTIPD_RETURN_IF_ERROR(Health());
    return control_->ceiling;
  }
  absl::Status Health() override {
    if (!control_->is_lost) return absl::OkStatus();
    return MakeError(absl::StatusCode::kInternal, "DEVICE_LOST", "the fake device is lost");
  }

 private:
  void Free(void* data) override {
    control_->free_bytes += sizes_[data];
    sizes_.erase(data);
    --control_->live_buffers;
    std::free(data);
  }

  std::shared_ptr<FakeDeviceControl> control_;
  std::map<void*, size_t> sizes_;
};

class FakeBackend final : public Backend {
 public:
  explicit FakeBackend(std::shared_ptr<FakeDeviceControl> control) : control_(std::move(control)) {}
  std::string_view id() const override { return control_->info.backend; }
  absl::StatusOr<int> DeviceCount() override { return 1; }
  absl::StatusOr<std::unique_ptr<Device>> OpenDevice(int index) override {
    return MakeFakeDevice(control_);
  }
  void Register(Registry& registry) override {}

 private:
  std::shared_ptr<FakeDeviceControl> control_;
};

}  // namespace

std::unique_ptr<Backend> MakeFakeBackend(std::shared_ptr<FakeDeviceControl> control) {
  return std::make_unique<FakeBackend>(std::move(control));
}

std::unique_ptr<Device> MakeFakeDevice(std::shared_ptr<FakeDeviceControl> control) {
  return std::make_unique<FakeDevice>(std::move(control));
}

}  // namespace qtipd
