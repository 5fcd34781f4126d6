// The seam for backends: how devices are found and opened. The CPU backend is linked in; others are
// modules opened at run time, so that the daemon starts on a host without their libraries.
#ifndef QTIPD_KERNELS_API_BACKEND_H_
#define QTIPD_KERNELS_API_BACKEND_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "kernels/api/device.h"
#include "kernels/api/registry.h"

namespace qtipd {

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view id() const = 0;
  // Number of usable devices. Errors say why there are none: no driver, driver too old, ...
  virtual absl::StatusOr<int> DeviceCount() = 0;
  // Opens device `index`; to be called, like the Device itself, on the thread that will own it.
  virtual absl::StatusOr<std::unique_ptr<Device>> OpenDevice(int index) = 0;
  // Adds this backend's half of every format built into it.
  virtual void Register(Registry& registry) = 0;
};

// Opens a backend module (a shared library built from the same source as the caller, which is
// checked) and returns its Backend. The library is never closed.
// Errors: Unavailable/BACKEND_UNAVAILABLE with the loader's own words.
absl::StatusOr<std::unique_ptr<Backend>> OpenBackendModule(const std::string& path);

// What a module exports; see kernels/cuda/cuda_module.cc.
//   extern "C" const char* qtipd_backend_build_id();
//   extern "C" qtipd::Backend* qtipd_backend_create();
inline constexpr char kBackendBuildIdSymbol[] = "qtipd_backend_build_id";
inline constexpr char kBackendCreateSymbol[] = "qtipd_backend_create";

// The project version and the hash of kernels/api, equal in a daemon and its modules.
const char* BackendBuildId();

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_BACKEND_H_
