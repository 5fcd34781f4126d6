// A device in host memory whose times are made up, and that fails on demand.
#ifndef QTIPD_TESTS_FAKES_FAKE_DEVICE_H_
#define QTIPD_TESTS_FAKES_FAKE_DEVICE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "kernels/api/backend.h"
#include "kernels/api/device.h"

namespace qtipd {

// What a test sets and sees of a fake device; shared with its backend, which the engine owns.
// Thread-safe fields are atomic; set the others before the device is opened.
struct FakeDeviceControl {
  DeviceInfo info{.id = "fake",
                  .backend = "fake",
                  .name = "Fake Device",
                  .uuid = "FAKE-0",
                  .memory_bytes = uint64_t{1} << 30,
                  .last_level_cache_bytes = 1024,
                  .compute_units = 1,
                  .is_synchronous = true,
                  .compute_dtype = DType::kF32,
                  .properties = {{"driver", "0.0"}}};
  // Seconds that the n-th replay takes (from 0); called on the device's thread.
  std::function<double(int64_t)> replay_seconds = [](int64_t n) {
    return 1e-3 + 1e-6 * static_cast<double>(n % 7);
  };
  // Its clock, 0 where the device does not tell.
  std::function<double(int64_t)> replay_clock_hertz = [](int64_t) { return 0.0; };
  // Whether the n-th replay succeeds; called on the device's thread.
  std::function<absl::Status(int64_t)> replay_status = [](int64_t) { return absl::OkStatus(); };
  // Called by every replay on the device's thread, before it runs.
  std::function<void()> on_replay = [] {};
  std::atomic<bool> is_lost{false};  // the next call fails with DEVICE_LOST, and all after it
  std::atomic<uint64_t> free_bytes{uint64_t{1} << 30};  // Allocate fails beyond that
  std::atomic<int64_t> replays{0};
  std::atomic<int64_t> flushes{0};
  std::atomic<int64_t> live_buffers{0};
  // What MeasureCeiling returns: an error, or 1 TB/s after 1 us of launch.
  absl::StatusOr<DeviceCeiling> ceiling = DeviceCeiling{
      .read = {{1'000'000, 2e-6}, {2'000'000, 3e-6}}, .copy = {}, .replay_seconds = 1e-6};
  std::atomic<int64_t> ceilings{0};         // measured
  std::atomic<bool> writes_nothing{false};  // replays run nothing: outputs stay as they were
};

// Opens the one device that `control` describes.
std::unique_ptr<Backend> MakeFakeBackend(std::shared_ptr<FakeDeviceControl> control);
// The device alone.
std::unique_ptr<Device> MakeFakeDevice(std::shared_ptr<FakeDeviceControl> control);

}  // namespace qtipd

#endif  // QTIPD_TESTS_FAKES_FAKE_DEVICE_H_
