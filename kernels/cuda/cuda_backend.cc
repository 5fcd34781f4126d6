#include "kernels/cuda/cuda_backend.h"

#include <string>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/device_code.h"

namespace qtipd {
namespace {

absl::Status Unavailable(const char* reason, const std::string& message) {
  return MakeError(absl::StatusCode::kUnavailable, reason, message);
}

std::string Version(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// Why cudaGetDeviceCount found nothing. The static runtime reports a missing libcuda.so as a driver
// of version 0, not as an error of the loader.
absl::Status NoDevices(cudaError_t error) {
  int driver = 0;
  cudaDriverGetVersion(&driver);
  if (error == cudaErrorNoDevice || error == cudaSuccess) {
    return Unavailable("NO_DEVICE", "the NVIDIA driver finds no GPU that this process may use");
  }
  if (driver == 0) {
    return Unavailable("DRIVER_MISSING", "no NVIDIA driver (libcuda.so.1) on this host");
  }
  if (error == cudaErrorInsufficientDriver) {
    return Unavailable("DRIVER_TOO_OLD", "the NVIDIA driver supports CUDA " + Version(driver) +
                                             ", this build needs " + Version(CUDART_VERSION));
  }
  return QTIPD_CUDA_STATUS(error);
}

// OK where one of the GPUs can be opened, else why the last one cannot.
absl::Status CheckDeviceCode(int count) {
  absl::Status status;
  for (int index = 0; index < count; ++index) {
    cudaDeviceProp properties;
    QTIPD_RETURN_IF_CUDA_ERROR(cudaGetDeviceProperties(&properties, index));
    const int capability = properties.major * 10 + properties.minor;
    status = FindDeviceCode(BuiltDeviceCode(), capability, properties.name).status();
    if (status.ok()) return status;
  }
  return status;
}

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(std::function<void(Registry&)> register_formats)
      : register_formats_(std::move(register_formats)) {}

  std::string_view id() const override { return "cuda"; }

  absl::StatusOr<int> DeviceCount() override {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count == 0) {
      cudaGetLastError();
      return NoDevices(error);
    }
    QTIPD_RETURN_IF_ERROR(CheckDeviceCode(count));
    return count;
  }

  absl::StatusOr<std::unique_ptr<Device>> OpenDevice(int index) override {
    QTIPD_ASSIGN_OR_RETURN(const int count, DeviceCount());
    if (index < 0 || index >= count) {
      return InvalidField("DEVICE_UNKNOWN", "cuda device", std::to_string(index),
                          "0 to " + std::to_string(count - 1));
    }
    return CudaDevice::Open(index);
  }

  void Register(Registry& registry) override { register_formats_(registry); }

 private:
  const std::function<void(Registry&)> register_formats_;
};

}  // namespace

std::unique_ptr<Backend> MakeCudaBackend(std::function<void(Registry&)> register_formats) {
  return std::make_unique<CudaBackend>(std::move(register_formats));
}

}  // namespace qtipd
