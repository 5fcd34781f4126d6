#include "kernels/api/inference_path.h"

#include "kernels/api/error.h"

namespace qtipd {

absl::StatusOr<std::unique_ptr<PhaseTracer>> PreparedPath::PreparePhases(const void* /*x*/,
                                                                         void* /*y*/,
                                                                         int /*slots*/) {
  return MakeError(absl::StatusCode::kUnimplemented, "PHASES_UNSUPPORTED",
                   "this path has no fused kernel");
}

}  // namespace qtipd
