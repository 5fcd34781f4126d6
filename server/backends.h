// Which backends a daemon has, and why not the others.
#ifndef QTIPD_SERVER_BACKENDS_H_
#define QTIPD_SERVER_BACKENDS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/api/backend.h"
#include "kernels/api/registry.h"
#include "server/engine/types.h"

namespace qtipd {

struct Backends {
  std::vector<std::unique_ptr<Backend>> usable;
  std::vector<BackendStatus> status;  // of every backend that was thought of
};

// Makes the CPU backend and, unless `device` is "cpu", opens the CUDA module; what is usable adds
// its half of every format to `registry`. With "auto" a module that cannot be opened, or that finds
// no device, is only recorded. Errors, for "cuda" and "cuda:N": Unavailable/BACKEND_UNAVAILABLE, or
// the module's own.
absl::StatusOr<Backends> OpenBackends(const std::string& device, const std::string& cuda_module,
                                      Registry& registry);

}  // namespace qtipd

#endif  // QTIPD_SERVER_BACKENDS_H_
