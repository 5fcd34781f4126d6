#include "server/backends.h"

#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/cpu/cpu_backend.h"

namespace qtipd {
namespace {

constexpr char kCuda[] = "cuda";

// The CUDA backend, if it has a device.
absl::StatusOr<std::unique_ptr<Backend>> OpenCuda(const std::string& module) {
  QTIPD_ASSIGN_OR_RETURN(std::unique_ptr<Backend> backend, OpenBackendModule(module));
  QTIPD_ASSIGN_OR_RETURN(const int count, backend->DeviceCount());
  if (count == 0) {
    return MakeError(absl::StatusCode::kUnavailable, "BACKEND_UNAVAILABLE",
                     "backend module " + module + ": it finds no device", {{"module", module}});
  }
  return backend;
}

std::string Text(const absl::Status& status) { return std::string(status.message()); }

}  // namespace

absl::StatusOr<Backends> OpenBackends(const std::string& device, const std::string& cuda_module,
                                      Registry& registry) {
  Backends backends;
  backends.usable.push_back(MakeCpuBackend());
  backends.status.push_back({std::string(backends.usable.back()->id()), true, ""});
  if (device == "cpu") {
    backends.status.push_back({kCuda, false, "not looked for, since device is cpu"});
  } else if (auto cuda = OpenCuda(cuda_module); cuda.ok()) {
    backends.usable.push_back(*std::move(cuda));
    backends.status.push_back({kCuda, true, ""});
  } else if (device == "auto") {
    backends.status.push_back({kCuda, false, Text(cuda.status())});
  } else {
    return cuda.status();
  }
  for (const auto& backend : backends.usable) backend->Register(registry);
  return backends;
}

}  // namespace qtipd
