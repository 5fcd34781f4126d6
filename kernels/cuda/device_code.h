// What device code a module carries, and which of it a GPU runs.
#ifndef QTIPD_KERNELS_CUDA_DEVICE_CODE_H_
#define QTIPD_KERNELS_CUDA_DEVICE_CODE_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace qtipd {

// One compilation of every kernel.
struct DeviceCode {
  int architecture = 0;  // 90 for 9.0
  bool is_ptx = false;   // assembly that the driver translates; else machine code
  // "sm_90", "compute_90": NVIDIA's names.
  std::string ToString() const;
  friend bool operator==(const DeviceCode&, const DeviceCode&) = default;
};

// "sm_80, sm_90, compute_90"
std::string DeviceCodeText(std::span<const DeviceCode> codes);

// The code that a list of CMake's names makes, separated by commas: 90-real machine code,
// 90-virtual PTX, 90 both. What is none of these is left out.
std::vector<DeviceCode> ParseArchitectures(std::string_view list);

// What this build carries.
const std::vector<DeviceCode>& BuiltDeviceCode();

// The code of `carried` that a GPU runs, as the CUDA driver chooses: machine code of its major
// version up to its minor one, the newest; else the newest PTX that is not newer than it. From 9.0
// on PTX of 9.0 at least is wanted: kernels below have no part in what only newer GPUs do, clusters
// and grids that overlap, which are launched there. `gpu` names the device in errors.
// Errors: Unimplemented/DEVICE_UNSUPPORTED below compute capability 8.0,
// Unimplemented/DEVICE_CODE_MISSING where `carried` has none.
// Source: CUDA C++ Programming Guide 13.0, "Binary Compatibility" and "PTX Compatibility".
absl::StatusOr<DeviceCode> FindDeviceCode(std::span<const DeviceCode> carried,
                                          int compute_capability, std::string_view gpu);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_CUDA_DEVICE_CODE_H_
