// A Device that puts guard bytes around every block it allocates, to catch writes outside.
#ifndef QTIPD_TESTS_CONFORMANCE_GUARDED_DEVICE_H_
#define QTIPD_TESTS_CONFORMANCE_GUARDED_DEVICE_H_

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/api/device.h"
#include "kernels/api/status.h"

namespace qtipd {

// Forwards everything to `device`, which outlives it. New blocks are filled with 0xFF: NaN in every
// float type, so that an element that is read before it is written, or never written, shows.
class GuardedDevice final : public Device {
 public:
  static constexpr size_t kGuardBytes = 4096;
  static constexpr uint8_t kGuardValue = 0xA5;

  explicit GuardedDevice(Device& device) : device_(device) {}

  // Whether every guard of the blocks that are still allocated is as it was.
  absl::StatusOr<bool> GuardsAreIntact() {
    for (const auto& [data, block] : blocks_) {
      std::vector<uint8_t> bytes(block.bytes());
      QTIPD_RETURN_IF_ERROR(device_.CopyToHost(bytes.data(), block.data(), bytes.size()));
      const auto is_guard = [](uint8_t value) { return value == kGuardValue; };
      if (!std::all_of(bytes.begin(), bytes.begin() + kGuardBytes, is_guard) ||
          !std::all_of(bytes.end() - kGuardBytes, bytes.end(), is_guard)) {
        return false;
      }
    }
    return true;
  }

  const DeviceInfo& info() const override { return device_.info(); }
  absl::StatusOr<DeviceMemory> Memory() override { return device_.Memory(); }
  absl::StatusOr<Buffer> Allocate(size_t bytes) override {
    QTIPD_ASSIGN_OR_RETURN(Buffer block, device_.Allocate(bytes + 2 * kGuardBytes));
    QTIPD_RETURN_IF_ERROR(device_.Fill(block.data(), kGuardValue, block.bytes()));
    void* data = block.as<uint8_t>() + kGuardBytes;
    QTIPD_RETURN_IF_ERROR(device_.Fill(data, 0xFF, bytes));
    QTIPD_RETURN_IF_ERROR(device_.Synchronize());
    blocks_[data] = std::move(block);
    return Buffer(this, data, bytes);
  }
  absl::Status CopyToDevice(void* dst, const void* src, size_t bytes) override {
    return device_.CopyToDevice(dst, src, bytes);
  }
  absl::Status CopyToHost(void* dst, const void* src, size_t bytes) override {
    return device_.CopyToHost(dst, src, bytes);
  }
  absl::Status Copy(void* dst, const void* src, size_t bytes) override {
    return device_.Copy(dst, src, bytes);
  }
  absl::Status Fill(void* dst, uint8_t value, size_t bytes) override {
    return device_.Fill(dst, value, bytes);
  }
  absl::Status Synchronize() override { return device_.Synchronize(); }
  absl::Status Convert(void* dst, DType dst_dtype, const void* src, DType src_dtype,
                       int64_t count) override {
    return device_.Convert(dst, dst_dtype, src, src_dtype, count);
  }
  absl::Status FlushCaches() override { return device_.FlushCaches(); }
  absl::StatusOr<std::unique_ptr<Recording>> Record(
      const std::function<absl::Status()>& enqueue) override {
    return device_.Record(enqueue);
  }
  absl::StatusOr<std::unique_ptr<DenseMultiply>> PrepareDense(const DenseProblem& p) override {
    return device_.PrepareDense(p);
  }
  absl::StatusOr<DeviceCeiling> MeasureCeiling(const std::function<bool()>& is_cancelled) override {
    return device_.MeasureCeiling(is_cancelled);
  }
  absl::Status Health() override { return device_.Health(); }

 private:
  void Free(void* data) override { blocks_.erase(data); }

  Device& device_;
  std::map<void*, Buffer> blocks_;
};

}  // namespace qtipd

#endif  // QTIPD_TESTS_CONFORMANCE_GUARDED_DEVICE_H_
