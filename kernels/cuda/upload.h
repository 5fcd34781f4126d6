// Values in device memory of their own.
#ifndef QTIPD_KERNELS_CUDA_UPLOAD_H_
#define QTIPD_KERNELS_CUDA_UPLOAD_H_

#include "absl/status/statusor.h"
#include "kernels/api/status.h"
#include "kernels/cuda/cuda_device.h"

namespace qtipd {

// A copy of contiguous `values` (a vector, array or span); no memory at all for none. Blocks.
// Errors: DEVICE_MEMORY_EXHAUSTED.
template <typename Values>
absl::StatusOr<Buffer> Upload(CudaDevice& device, const Values& values) {
  const size_t bytes = values.size() * sizeof(values[0]);
  if (bytes == 0) return Buffer();
  QTIPD_ASSIGN_OR_RETURN(Buffer buffer, device.Allocate(bytes));
  QTIPD_RETURN_IF_ERROR(device.CopyToDevice(buffer.data(), values.data(), bytes));
  return buffer;
}

// A copy of `source`; no memory at all for none. Enqueues the copying. Errors:
// DEVICE_MEMORY_EXHAUSTED.
inline absl::StatusOr<Buffer> Duplicate(CudaDevice& device, const Buffer& source) {
  if (source.bytes() == 0) return Buffer();
  QTIPD_ASSIGN_OR_RETURN(Buffer duplicate, device.Allocate(source.bytes()));
  QTIPD_RETURN_IF_ERROR(device.Copy(duplicate.data(), source.data(), source.bytes()));
  return duplicate;
}

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_UPLOAD_H_
