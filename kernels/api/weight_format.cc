#include "kernels/api/weight_format.h"

#include "kernels/api/error.h"

namespace qtipd {

absl::StatusOr<std::unique_ptr<PhaseTracer>> ResidentWeights::PreparePhases(int64_t /*batch*/,
                                                                            const void* /*u*/,
                                                                            void* /*z*/,
                                                                            int /*slots*/) {
  return MakeError(absl::StatusCode::kUnimplemented, "PHASES_UNSUPPORTED",
                   "no instrumented build of the fused kernel on this backend");
}

}  // namespace qtipd
