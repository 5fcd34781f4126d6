// What libqtipd_cuda.so exports; see OpenBackendModule in kernels/api/backend.h.
#include "kernels/api/backend.h"
#include "kernels/cuda/cuda_backend.h"

namespace qtipd {

void RegisterBuiltinCudaFormats(Registry& registry);  // generated

}  // namespace qtipd

extern "C" {

__attribute__((visibility("default"))) const char* qtipd_backend_build_id() {
  return qtipd::BackendBuildId();
}

// The caller owns the result.
__attribute__((visibility("default"))) qtipd::Backend* qtipd_backend_create() {
  return qtipd::MakeCudaBackend(&qtipd::RegisterBuiltinCudaFormats).release();
}

}  // extern "C"
