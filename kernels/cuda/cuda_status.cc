#include "kernels/cuda/cuda_status.h"

#include <string>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

absl::Status CallError(absl::StatusCode code, const char* reason, const char* error_name,
                       const std::string& error_text, const char* call, const char* file,
                       int line) {
  const std::string place = std::string(file) + ":" + std::to_string(line);
  return MakeError(code, reason,
                   std::string(error_name) + " (" + error_text + ") from " + call + " at " + place,
                   {{"error", error_name}, {"place", place}});
}

}  // namespace

bool IsStickyCudaError(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContextIsDestroyed:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorExternalDevice:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

absl::Status CudaStatus(cudaError_t error, const char* call, const char* file, int line) {
  if (error == cudaSuccess) return absl::OkStatus();
  cudaGetLastError();  // clears what is not sticky, so that the next call reports its own
  const bool is_memory = error == cudaErrorMemoryAllocation;
  const char* reason = IsStickyCudaError(error) ? "DEVICE_LOST"
                       : is_memory              ? "DEVICE_MEMORY_EXHAUSTED"
                                                : "CUDA_ERROR";
  return CallError(is_memory ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kInternal,
                   reason, cudaGetErrorName(error), cudaGetErrorString(error), call, file, line);
}

absl::Status CublasStatus(cublasStatus_t error, const char* call, const char* file, int line) {
  if (error == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
  return CallError(absl::StatusCode::kInternal, "CUBLAS_ERROR", cublasGetStatusName(error),
                   cublasGetStatusString(error), call, file, line);
}

}  // namespace qtipd
