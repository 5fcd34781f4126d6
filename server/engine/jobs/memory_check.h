// Whether a matrix fits, asked before anything is allocated.
#ifndef QTIPD_SERVER_ENGINE_JOBS_MEMORY_CHECK_H_
#define QTIPD_SERVER_ENGINE_JOBS_MEMORY_CHECK_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "kernels/api/device.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

// Bytes that a quantization takes at its peak, upper bounds.
struct QuantizeMemory {
  uint64_t host_bytes =
      0;  // W, H, the encoder's host memory; all of it where the device is the host
  uint64_t device_bytes = 0;  // 0 where the device is the host
};

QuantizeMemory EstimateQuantize(const WeightFormat& format, const Options& options, Shape shape,
                                bool has_hessian, const DeviceInfo& device);

// Errors: ResourceExhausted/MATRIX_TOO_LARGE with needed_bytes and available_bytes; `where` is
// "host" or a device's id.
absl::Status CheckFits(Shape shape, const std::string& where, uint64_t needed_bytes,
                       uint64_t available_bytes);

// Whether W alone can be addressed: its bytes as fp32 fit into 2^62. Errors: as CheckFits, and
// InvalidArgument/SHAPE_UNSUPPORTED for a side below 1.
absl::Status CheckAddressable(Shape shape);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_JOBS_MEMORY_CHECK_H_
