// The few functions of libcuda that profiling needs, found at run time.
#ifndef QTIPD_SERVER_PROFILER_DRIVER_API_H_
#define QTIPD_SERVER_PROFILER_DRIVER_API_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/profiler/cupti_types.h"

namespace qtipd {

// A device with its primary context current on the calling thread. The context is the one that
// the CUDA runtime uses, so that what the runtime launches is what CUPTI sees. It is kept until
// the process ends.
struct DriverDevice {
  int device = 0;  // CUdevice
  cupti::Context context = nullptr;
};

// Opens device `index` as this process counts them (CUDA_VISIBLE_DEVICES). Errors: those of
// DriverStatus; FailedPrecondition/NO_DEVICE where there is no driver.
absl::StatusOr<DriverDevice> OpenDriverDevice(int index);

// What `result` of the driver's function `call`, which the driver names `name`, means: OK for 0,
// ResourceExhausted/DEVICE_MEMORY_EXHAUSTED, FailedPrecondition/DEVICE_UNAVAILABLE where the
// compute mode keeps this process out, FailedPrecondition/NO_DEVICE for all others.
absl::Status DriverStatus(const std::string& call, int result, const std::string& name);

// The N of "cuda:N". Errors: InvalidArgument/DEVICE_NOT_FOUND.
absl::StatusOr<int> CudaIndex(const std::string& device);

}  // namespace qtipd

#endif  // QTIPD_SERVER_PROFILER_DRIVER_API_H_
