#include "kernels/cuda/cuda_status.h"

#include <string>

#include "kernels/api/error.h"
#include "kernels/cuda/device_code.h"

namespace qtipd {
namespace {

std::string Location(const char* file, int line) {
  const std::string path = file;
  const size_t root = path.rfind("kernels/");
  return path.substr(root == std::string::npos ? 0 : root) + ":" + std::to_string(line);
}

absl::Status Failure(absl::StatusCode code, const char* reason, const char* call,
                     const std::string& error, const std::string& location) {
  return MakeError(code, reason, std::string(call) + " at " + location + ": " + error,
                   {{"call", call}, {"error", error}, {"location", location}});
}

}  // namespace

bool IsStickyCudaError(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorDevicesUnavailable:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

absl::Status CudaStatus(cudaError_t error, const char* call, const char* file, int line) {
  if (error == cudaSuccess) return absl::OkStatus();
  cudaGetLastError();  // a later check must not find this error again
  const std::string text =
      std::string(cudaGetErrorName(error)) + " (" + cudaGetErrorString(error) + ")";
  const std::string location = Location(file, line);
  if (IsStickyCudaError(error)) {
    return Failure(absl::StatusCode::kInternal, "DEVICE_LOST", call, text, location);
  }
  if (error == cudaErrorMemoryAllocation) {
    return Failure(absl::StatusCode::kResourceExhausted, "DEVICE_MEMORY_EXHAUSTED", call, text,
                   location);
  }
  if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorUnsupportedPtxVersion) {
    return Failure(absl::StatusCode::kUnimplemented, "DEVICE_CODE_MISSING", call,
                   text + "; this build has code for " + DeviceCodeText(BuiltDeviceCode()),
                   location);
  }
  return Failure(absl::StatusCode::kInternal, "CUDA_ERROR", call, text, location);
}

absl::Status CublasStatus(cublasStatus_t error, const char* call, const char* file, int line) {
  if (error == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
  return Failure(absl::StatusCode::kInternal, "CUBLAS_ERROR", call, cublasGetStatusString(error),
                 Location(file, line));
}

}  // namespace qtipd
