#include "kernels/cpu/cpu_backend.h"

#include "kernels/api/error.h"
#include "kernels/cpu/cpu_device.h"

namespace qtipd {
namespace {

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(int threads) : threads_(threads) {}

  std::string_view id() const override { return "cpu"; }
  absl::StatusOr<int> DeviceCount() override { return 1; }
  absl::StatusOr<std::unique_ptr<Device>> OpenDevice(int index) override {
    if (index != 0) return InvalidField("DEVICE_UNKNOWN", "cpu device", std::to_string(index), "0");
    return std::make_unique<CpuDevice>(CpuDeviceConfig{.threads = threads_, .read_memory = {}});
  }
  void Register(Registry& registry) override {}

 private:
  int threads_;
};

}  // namespace

std::unique_ptr<Backend> MakeCpuBackend(int threads) {
  return std::make_unique<CpuBackend>(threads);
}

}  // namespace qtipd
