// Which devices a daemon serves.
#ifndef QTIPD_SERVER_ENGINE_DEVICE_DEVICE_SELECTION_H_
#define QTIPD_SERVER_ENGINE_DEVICE_DEVICE_SELECTION_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/backend.h"
#include "server/engine/types.h"

namespace qtipd {

struct DeviceChoice {
  Backend* backend = nullptr;
  int index = 0;
};

// Asks every backend for its devices, adding to `status` whether it has any and why not, and picks
// those that `selection` names: "BACKEND" all of a backend, "BACKEND:N" one of them, "auto" all of
// the first backend that is not the CPU and has a device, else the CPU.
// Errors: InvalidArgument/DEVICE_NOT_FOUND with what there is and why the rest is not.
absl::StatusOr<std::vector<DeviceChoice>> SelectDevices(
    const std::string& selection, const std::vector<std::unique_ptr<Backend>>& backends,
    std::vector<BackendStatus>& status);

}  // namespace qtipd

#endif  // QTIPD_SERVER_ENGINE_DEVICE_DEVICE_SELECTION_H_
