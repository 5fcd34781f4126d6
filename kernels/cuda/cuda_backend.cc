#include "kernels/cuda/cuda_backend.h"

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/cuda/cuda_device.h"

namespace qtipd {
namespace {

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(void (*register_formats)(Registry&)) : register_formats_(register_formats) {}

  std::string_view id() const override { return "cuda"; }

  absl::StatusOr<int> DeviceCount() override {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count > 0) return count;
    cudaGetLastError();
    const std::string why = error == cudaSuccess ? "no CUDA device" : cudaGetErrorString(error);
    return MakeError(absl::StatusCode::kUnavailable, "BACKEND_UNAVAILABLE", "backend cuda: " + why,
                     {{"error", cudaGetErrorName(error)}});
  }

  absl::StatusOr<std::unique_ptr<Device>> OpenDevice(int index) override {
    QTIPD_ASSIGN_OR_RETURN(const int count, DeviceCount());
    if (index < 0 || index >= count) {
      return FieldError(absl::StatusCode::kNotFound, "DEVICE_NOT_FOUND", "device",
                        "cuda:" + std::to_string(index),
                        "cuda:0 to cuda:" + std::to_string(count - 1));
    }
    return CudaDevice::Open(index);
  }

  void Register(Registry& registry) override { register_formats_(registry); }

 private:
  void (*register_formats_)(Registry&);
};

}  // namespace

std::unique_ptr<Backend> MakeCudaBackend(void (*register_formats)(Registry&)) {
  return std::make_unique<CudaBackend>(register_formats);
}

}  // namespace qtipd
