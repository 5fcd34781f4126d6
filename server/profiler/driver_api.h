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

// Opens device `index` as this process counts them (CUDA_VISIBLE_DEVICES). Errors:
// FailedPrecondition/NO_DEVICE with the driver's words.
absl::StatusOr<DriverDevice> OpenDriverDevice(int index);

// The N of "cuda:N". Errors: InvalidArgument/DEVICE_NOT_FOUND.
absl::StatusOr<int> CudaIndex(const std::string& device);

}  // namespace qtipd

#endif  // QTIPD_SERVER_PROFILER_DRIVER_API_H_
