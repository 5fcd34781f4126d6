#include "kernels/cuda/cuda_device_info.h"

#include <cstdio>

#include "kernels/api/error.h"
#include "kernels/cuda/cuda_status.h"

namespace qtipd {
namespace {

constexpr int kOldestMajor = 8;  // Ampere

std::string UuidText(const cudaUUID_t& uuid) {
  std::string text = "GPU-";
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    char hex[3];
    std::snprintf(hex, sizeof(hex), "%02x", static_cast<unsigned char>(uuid.bytes[i]));
    text += hex;
  }
  return text;
}

// "13.0" from CUDA's 13000.
std::string CudaVersionText(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

absl::Status AddVersions(int index, DeviceInfo& info) {
  int driver = 0;
  int runtime = 0;
  int clock_khz = 0;
  int memory_clock_khz = 0;
  int ecc = 0;
  char bus_id[32] = {};
  QTIPD_RETURN_IF_CUDA_ERROR(cudaDriverGetVersion(&driver));
  QTIPD_RETURN_IF_CUDA_ERROR(cudaRuntimeGetVersion(&runtime));
  QTIPD_RETURN_IF_CUDA_ERROR(cudaDeviceGetPCIBusId(bus_id, sizeof(bus_id), index));
  QTIPD_RETURN_IF_CUDA_ERROR(cudaDeviceGetAttribute(&clock_khz, cudaDevAttrClockRate, index));
  QTIPD_RETURN_IF_CUDA_ERROR(
      cudaDeviceGetAttribute(&memory_clock_khz, cudaDevAttrMemoryClockRate, index));
  QTIPD_RETURN_IF_CUDA_ERROR(cudaDeviceGetAttribute(&ecc, cudaDevAttrEccEnabled, index));
  info.properties["cuda_driver"] = CudaVersionText(driver);
  info.properties["cuda_runtime"] = CudaVersionText(runtime);
  info.properties["pci_bus_id"] = bus_id;
  info.properties["sm_clock_max_hertz"] = std::to_string(int64_t{1000} * clock_khz);
  info.properties["memory_clock_max_hertz"] = std::to_string(int64_t{1000} * memory_clock_khz);
  info.properties["ecc"] = ecc != 0 ? "on" : "off";
  int cublas[3] = {};
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasGetProperty(MAJOR_VERSION, &cublas[0]));
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasGetProperty(MINOR_VERSION, &cublas[1]));
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasGetProperty(PATCH_LEVEL, &cublas[2]));
  info.properties["cublas"] =
      std::to_string(cublas[0]) + "." + std::to_string(cublas[1]) + "." + std::to_string(cublas[2]);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DeviceInfo> ReadCudaDeviceInfo(int index) {
  cudaDeviceProp properties;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaGetDeviceProperties(&properties, index));
  const std::string capability =
      std::to_string(properties.major) + "." + std::to_string(properties.minor);
  if (properties.major < kOldestMajor) {
    return FieldError(absl::StatusCode::kFailedPrecondition, "DEVICE_TOO_OLD",
                      "compute capability of cuda:" + std::to_string(index), capability,
                      std::to_string(kOldestMajor) + ".0 and newer");
  }
  DeviceInfo info;
  info.id = "cuda:" + std::to_string(index);
  info.backend = "cuda";
  info.name = properties.name;
  info.uuid = UuidText(properties.uuid);
  info.memory_bytes = properties.totalGlobalMem;
  info.last_level_cache_bytes = properties.l2CacheSize;
  info.compute_units = properties.multiProcessorCount;
  info.is_synchronous = false;
  info.compute_dtype = DType::kF16;
  info.properties["compute_capability"] = capability;
  if (absl::Status status = AddVersions(index, info); !status.ok()) return status;
  return info;
}

}  // namespace qtipd
