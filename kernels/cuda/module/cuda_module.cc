// The two symbols that a daemon looks up; see kernels/api/backend.h.
#include "kernels/api/backend.h"
#include "kernels/cuda/cuda_backend.h"

namespace qtipd {
void RegisterBuiltinCudaFormats(Registry& registry);  // generated
}  // namespace qtipd

extern "C" const char* qtipd_backend_build_id() { return qtipd::BackendBuildId(); }

extern "C" qtipd::Backend* qtipd_backend_create() {
  return qtipd::MakeCudaBackend(qtipd::RegisterBuiltinCudaFormats).release();
}
