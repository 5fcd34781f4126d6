// What a GPU says about itself.
#ifndef QTIPD_KERNELS_CUDA_CUDA_DEVICE_INFO_H_
#define QTIPD_KERNELS_CUDA_CUDA_DEVICE_INFO_H_

#include "absl/status/statusor.h"
#include "kernels/api/device.h"

namespace qtipd {

// Facts of GPU `index`. Errors: FailedPrecondition/DEVICE_TOO_OLD below compute capability 8.0.
absl::StatusOr<DeviceInfo> ReadCudaDeviceInfo(int index);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_CUDA_DEVICE_INFO_H_
