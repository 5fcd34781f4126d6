#include "kernels/api/inference_path.h"

#include "kernels/api/error.h"

namespace qtipd {

absl::StatusOr<PhaseTimes> PreparedPath::MeasurePhases(int /*copy*/, const void* /*x*/,
                                                       void* /*y*/) {
  return MakeError(absl::StatusCode::kUnimplemented, "PHASES_UNSUPPORTED",
                   "this path has no fused kernel");
}

}  // namespace qtipd
