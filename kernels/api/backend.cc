#include "kernels/api/backend.h"

#include <dlfcn.h>

#include "kernels/api/error.h"
#include "qtipd_build_id.h"

namespace qtipd {
namespace {

absl::Status ModuleUnavailable(const std::string& path, const std::string& why) {
  return MakeError(absl::StatusCode::kUnavailable, "BACKEND_UNAVAILABLE",
                   "backend module " + path + ": " + why, {{"module", path}});
}

std::string LoaderError() {
  const char* text = dlerror();
  return text != nullptr ? text : "unknown loader error";
}

}  // namespace

const char* BackendBuildId() { return QTIPD_BACKEND_BUILD_ID; }

absl::StatusOr<std::unique_ptr<Backend>> OpenBackendModule(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return ModuleUnavailable(path, LoaderError());
  const auto build_id = reinterpret_cast<const char* (*)()>(dlsym(library, kBackendBuildIdSymbol));
  const auto create = reinterpret_cast<Backend* (*)()>(dlsym(library, kBackendCreateSymbol));
  if (build_id == nullptr || create == nullptr) {
    return ModuleUnavailable(path, "it is not a backend module of this project");
  }
  if (std::string(build_id()) != BackendBuildId()) {
    return ModuleUnavailable(path, std::string("it was built for ") + build_id() + ", this is " +
                                       BackendBuildId());
  }
  return std::unique_ptr<Backend>(create());
}

}  // namespace qtipd
