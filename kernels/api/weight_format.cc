#include "kernels/api/weight_format.h"

#include <string>

#include "kernels/api/error.h"

namespace qtipd {

absl::StatusOr<std::unique_ptr<PhaseTracer>> ResidentWeights::PreparePhases(int64_t /*batch*/,
                                                                            const void* /*u*/,
                                                                            void* /*z*/,
                                                                            int /*slots*/) {
  return MakeError(absl::StatusCode::kUnimplemented, "PHASES_UNSUPPORTED",
                   "no instrumented build of the fused kernel on this backend");
}

absl::Status ResidentWeights::MultiplyRounded(int /*copy*/, int64_t batch, const void* /*u*/,
                                              void* /*z*/) {
  return FieldError(absl::StatusCode::kUnimplemented, "BATCH_UNSUPPORTED", "batch",
                    std::to_string(batch), "none with rounded activations");
}

bool WeightFormat::RecognisesModel(const std::string& /*config*/) const { return false; }

absl::StatusOr<ModelPlan> WeightFormat::PlanModel(const ModelCheckpoint& /*checkpoint*/) const {
  return InvalidField("MODEL_CONFIG_INVALID", "format", id(),
                      "a format with checkpoints of models");
}

absl::StatusOr<std::string> WeightFormat::ModelConfig(
    const std::string& /*config*/, const std::map<std::string, PackedLayer>& /*layers*/) const {
  return InvalidField("MODEL_CONFIG_INVALID", "format", id(),
                      "a format with checkpoints of models");
}

}  // namespace qtipd
