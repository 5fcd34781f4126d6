#include "kernels/cuda/cuda_device.h"

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/cuda/cublas_dense.h"
#include "kernels/cuda/cuda_ceiling.h"
#include "kernels/cuda/cuda_convert.h"
#include "kernels/cuda/cuda_recording.h"
#include "kernels/cuda/device_code.h"

namespace qtipd {
namespace {

// NVIDIA's recommendation for cuBLAS on Hopper.
constexpr size_t kWorkspaceBytes = size_t{32} << 20;
// Far longer than the host takes to queue a replay, on the busiest host.
constexpr std::chrono::seconds kGateTimeout(10);

// 13000 is "13.0".
std::string VersionText(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string UuidText(const cudaUUID_t& uuid) {
  std::string text = "GPU-";
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    char byte[3];
    std::snprintf(byte, sizeof(byte), "%02x", static_cast<unsigned char>(uuid.bytes[i]));
    text += byte;
  }
  return text;
}

absl::StatusOr<int> Attribute(cudaDeviceAttr attribute, int index) {
  int value = 0;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaDeviceGetAttribute(&value, attribute, index));
  return value;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CudaDevice>> CudaDevice::Open(int index) {
  std::unique_ptr<CudaDevice> device(new CudaDevice());
  QTIPD_RETURN_IF_ERROR(device->Initialize(index));
  return device;
}

CudaDevice::~CudaDevice() {
  if (stream_ != nullptr) cudaStreamSynchronize(stream_.get());
}

absl::Status CudaDevice::Initialize(int index) {
  QTIPD_RETURN_IF_CUDA_ERROR(cudaSetDevice(index));
  QTIPD_RETURN_IF_ERROR(ReadInfo(index));
  QTIPD_ASSIGN_OR_RETURN(const DeviceCode code,
                         FindDeviceCode(BuiltDeviceCode(), limits_.compute_capability, info_.name));
  info_.properties["device_code"] = code.ToString();
  info_.properties["module_code"] = DeviceCodeText(BuiltDeviceCode());
  cudaStream_t stream = nullptr;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  stream_.reset(stream);
  QTIPD_ASSIGN_OR_RETURN(gate_, CudaGate::Create(stream, kGateTimeout));
  return CreateCublas();
}

absl::Status CudaDevice::ReadInfo(int index) {
  cudaDeviceProp properties;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaGetDeviceProperties(&properties, index));
  limits_ = {.multiprocessors = properties.multiProcessorCount,
             .shared_bytes = properties.sharedMemPerBlockOptin,
             .compute_capability = properties.major * 10 + properties.minor};
  limits_.has_warpgroup_mma = QTIPD_HAVE_WARPGROUP_MMA != 0 && limits_.compute_capability == 90;
  info_.id = "cuda:" + std::to_string(index);
  info_.backend = "cuda";
  info_.name = properties.name;
  info_.uuid = UuidText(properties.uuid);
  info_.memory_bytes = properties.totalGlobalMem;
  info_.last_level_cache_bytes = properties.l2CacheSize;
  info_.compute_units = properties.multiProcessorCount;
  info_.is_synchronous = false;
  info_.compute_dtype = DType::kF16;
  info_.multiplies_bf16 = true;
  int driver = 0;
  int runtime = 0;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaDriverGetVersion(&driver));
  QTIPD_RETURN_IF_CUDA_ERROR(cudaRuntimeGetVersion(&runtime));
  char bus_id[32] = {};
  QTIPD_RETURN_IF_CUDA_ERROR(cudaDeviceGetPCIBusId(bus_id, sizeof(bus_id), index));
  QTIPD_ASSIGN_OR_RETURN(const int sm_khz, Attribute(cudaDevAttrClockRate, index));
  QTIPD_ASSIGN_OR_RETURN(const int memory_khz, Attribute(cudaDevAttrMemoryClockRate, index));
  info_.properties = {
      {"cuda_driver", VersionText(driver)},
      {"cuda_runtime", VersionText(runtime)},
      {"compute_capability",
       std::to_string(properties.major) + "." + std::to_string(properties.minor)},
      {"pci_bus_id", bus_id},
      {"ecc", properties.ECCEnabled != 0 ? "on" : "off"},
      {"sm_clock_max_mhz", std::to_string(sm_khz / 1000)},
      {"memory_clock_max_mhz", std::to_string(memory_khz / 1000)},
      {"memory_bus_bits", std::to_string(properties.memoryBusWidth)},
      {"shared_memory_per_block_bytes", std::to_string(limits_.shared_bytes)},
  };
  return absl::OkStatus();
}

absl::Status CudaDevice::CreateCublas() {
  cublasHandle_t cublas = nullptr;
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasCreate(&cublas));
  cublas_.reset(cublas);
  cublasLtHandle_t cublas_lt = nullptr;
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasLtCreate(&cublas_lt));
  cublas_lt_.reset(cublas_lt);
  QTIPD_ASSIGN_OR_RETURN(workspace_, Allocate(kWorkspaceBytes));
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasSetStream(cublas, stream()));
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasSetWorkspace(cublas, workspace_.data(), workspace_.bytes()));
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasSetMathMode(cublas, CUBLAS_DEFAULT_MATH));
  int version = 0;
  QTIPD_RETURN_IF_CUBLAS_ERROR(cublasGetVersion(cublas, &version));
  // 130002 is 13.0.2 (and 120501 12.5.1): major * 10000 + minor * 100 + patch.
  info_.properties["cublas"] = std::to_string(version / 10000) + "." +
                               std::to_string(version / 100 % 100) + "." +
                               std::to_string(version % 100);
  return absl::OkStatus();
}

absl::Status CudaDevice::CheckSharedBytes(size_t bytes) const {
  if (bytes <= limits_.shared_bytes) return absl::OkStatus();
  return FieldError(absl::StatusCode::kUnimplemented, "SHARED_MEMORY_EXCEEDED",
                    "bytes of shared memory for a block on " + info_.name, std::to_string(bytes),
                    "at most " + std::to_string(limits_.shared_bytes));
}

absl::StatusOr<DeviceMemory> CudaDevice::Memory() {
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  QTIPD_RETURN_IF_CUDA_ERROR(cudaMemGetInfo(&free_bytes, &total_bytes));
  return DeviceMemory{.free_bytes = free_bytes, .total_bytes = total_bytes};
}

absl::StatusOr<Buffer> CudaDevice::Allocate(size_t bytes) {
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, bytes > 0 ? bytes : 1);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    QTIPD_ASSIGN_OR_RETURN(const DeviceMemory memory, Memory());
    return MakeError(absl::StatusCode::kResourceExhausted, "DEVICE_MEMORY_EXHAUSTED",
                     info_.id + ": needed " + std::to_string(bytes) + " bytes, free " +
                         std::to_string(memory.free_bytes) + " of " +
                         std::to_string(memory.total_bytes),
                     {{"needed_bytes", std::to_string(bytes)},
                      {"free_bytes", std::to_string(memory.free_bytes)}});
  }
  QTIPD_RETURN_IF_CUDA_ERROR(error);
  return Buffer(this, data, bytes);
}

void CudaDevice::Free(void* data) { cudaFree(data); }

absl::Status CudaDevice::CopyToDevice(void* device_dst, const void* host_src, size_t bytes) {
  QTIPD_RETURN_IF_CUDA_ERROR(
      cudaMemcpyAsync(device_dst, host_src, bytes, cudaMemcpyHostToDevice, stream()));
  return Synchronize();
}

absl::Status CudaDevice::CopyToHost(void* host_dst, const void* device_src, size_t bytes) {
  QTIPD_RETURN_IF_CUDA_ERROR(
      cudaMemcpyAsync(host_dst, device_src, bytes, cudaMemcpyDeviceToHost, stream()));
  return Synchronize();
}

absl::Status CudaDevice::Copy(void* dst, const void* src, size_t bytes) {
  return QTIPD_CUDA_STATUS(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDeviceToDevice, stream()));
}

absl::Status CudaDevice::Fill(void* dst, uint8_t value, size_t bytes) {
  return QTIPD_CUDA_STATUS(cudaMemsetAsync(dst, value, bytes, stream()));
}

absl::Status CudaDevice::Synchronize() {
  return QTIPD_CUDA_STATUS(cudaStreamSynchronize(stream()));
}

absl::Status CudaDevice::Convert(void* dst, DType dst_dtype, const void* src, DType src_dtype,
                                 int64_t count) {
  QTIPD_RETURN_IF_ERROR(CheckConvertible(dst_dtype, src_dtype));
  if (dst_dtype == src_dtype) return Copy(dst, src, count * DTypeSize(dst_dtype));
  return LaunchConvert(*this, dst, dst_dtype, src, src_dtype, count);
}

absl::Status CudaDevice::FlushCaches() {
  // Lines that an access policy window pinned would survive.
  QTIPD_RETURN_IF_CUDA_ERROR(cudaCtxResetPersistingL2Cache());
  if (flush_memory_.data() == nullptr) {
    QTIPD_ASSIGN_OR_RETURN(flush_memory_, Allocate(info_.last_level_cache_bytes));
  }
  return Fill(flush_memory_.data(), 0, flush_memory_.bytes());
}

absl::StatusOr<std::unique_ptr<Recording>> CudaDevice::Record(
    const std::function<absl::Status()>& enqueue) {
  return CudaRecording::Record(stream(), *gate_, enqueue);
}

absl::StatusOr<std::unique_ptr<DenseMultiply>> CudaDevice::PrepareDense(
    const DenseProblem& problem) {
  return PrepareCublasDense(*this, problem);
}

absl::StatusOr<DeviceCeiling> CudaDevice::MeasureCeiling(
    const std::function<bool()>& is_cancelled) {
  return MeasureCudaCeiling(*this, is_cancelled);
}

absl::Status CudaDevice::Health() {
  if (!health_.ok()) return health_;
  // Asking the stream costs nothing and returns a sticky error of any earlier work.
  const cudaError_t error = cudaStreamQuery(stream());
  if (IsStickyCudaError(error)) health_ = QTIPD_CUDA_STATUS(error);
  return health_;
}

}  // namespace qtipd
