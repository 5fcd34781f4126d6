#include "server/profiler/driver_api.h"

#include <dlfcn.h>

#include <charconv>
#include <string_view>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

absl::Status NoDevice(const std::string& why) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "NO_DEVICE",
                   "no CUDA device can be opened: " + why, {{"reason", why}});
}

// CUDA's driver functions that take part, in the order of need. Source:
// https://docs.nvidia.com/cuda/cuda-driver-api/
struct Driver {
  int (*init)(unsigned);
  int (*device_get)(int*, int);
  int (*primary_retain)(void**, int);
  int (*set_current)(void*);
  int (*error_name)(int, const char**);
};

template <typename Function>
bool Bind(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  return function != nullptr;
}

absl::StatusOr<Driver> OpenDriver() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return NoDevice(dlerror());
  Driver driver;
  const bool is_complete = Bind(library, "cuInit", driver.init) &&
                           Bind(library, "cuDeviceGet", driver.device_get) &&
                           Bind(library, "cuDevicePrimaryCtxRetain", driver.primary_retain) &&
                           Bind(library, "cuCtxSetCurrent", driver.set_current) &&
                           Bind(library, "cuGetErrorName", driver.error_name);
  if (!is_complete) return NoDevice("libcuda.so.1 lacks a function");
  return driver;
}

absl::Status Check(const Driver& driver, const char* call, int result) {
  if (result == 0) return absl::OkStatus();
  const char* name = nullptr;
  driver.error_name(result, &name);
  return DriverStatus(call, result, name == nullptr ? std::to_string(result) : name);
}

}  // namespace

absl::Status DriverStatus(const std::string& call, int result, const std::string& name) {
  constexpr int kOutOfMemory = 2;         // CUDA_ERROR_OUT_OF_MEMORY
  constexpr int kDeviceUnavailable = 46;  // CUDA_ERROR_DEVICE_UNAVAILABLE
  if (result == 0) return absl::OkStatus();
  const std::string what = call + ": " + name;
  if (result == kOutOfMemory) {
    return MakeError(absl::StatusCode::kResourceExhausted, "DEVICE_MEMORY_EXHAUSTED",
                     what +
                         "; the profiling helper needs memory of its own for a context: free "
                         "some on the device",
                     {{"call", call}});
  }
  if (result == kDeviceUnavailable) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "DEVICE_UNAVAILABLE",
                     what +
                         "; its compute mode lets one process alone use it, or none, and the "
                         "profiling helper is another than qtipd: 'nvidia-smi -c DEFAULT' as "
                         "root lets it in",
                     {{"call", call}});
  }
  return NoDevice(what);
}

absl::StatusOr<DriverDevice> OpenDriverDevice(int index) {
  QTIPD_ASSIGN_OR_RETURN(const Driver driver, OpenDriver());
  QTIPD_RETURN_IF_ERROR(Check(driver, "cuInit", driver.init(0)));
  DriverDevice device;
  QTIPD_RETURN_IF_ERROR(Check(driver, "cuDeviceGet", driver.device_get(&device.device, index)));
  QTIPD_RETURN_IF_ERROR(Check(driver, "cuDevicePrimaryCtxRetain",
                              driver.primary_retain(&device.context, device.device)));
  QTIPD_RETURN_IF_ERROR(Check(driver, "cuCtxSetCurrent", driver.set_current(device.context)));
  return device;
}

absl::StatusOr<int> CudaIndex(const std::string& device) {
  constexpr std::string_view kPrefix = "cuda:";
  int index = -1;
  if (device.starts_with(kPrefix)) {
    const char* end = device.data() + device.size();
    const auto parsed = std::from_chars(device.data() + kPrefix.size(), end, index);
    if (parsed.ec == std::errc() && parsed.ptr == end && index >= 0) return index;
  }
  return InvalidField("DEVICE_NOT_FOUND", "device", device, "cpu, cuda:N");
}

}  // namespace qtipd
