#include "kernels/api/weight_format.h"

#include <string>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {

absl::StatusOr<std::unique_ptr<PhaseTracer>> ResidentWeights::PreparePhases(int64_t /*batch*/,
                                                                            const void* /*u*/,
                                                                            void* /*z*/,
                                                                            int /*slots*/) {
  return MakeError(absl::StatusCode::kUnimplemented, "PHASES_UNSUPPORTED",
                   "no instrumented build of the fused kernel on this backend");
}

absl::Status ResidentWeights::Linear(int copy, int64_t batch, const void* x, void* u, void* z,
                                     void* y) {
  const auto before = static_cast<int>(input_steps().size());
  const auto after = static_cast<int>(output_steps().size());
  if (before > 0) QTIPD_RETURN_IF_ERROR(InputTransform(batch, x, u, before));
  QTIPD_RETURN_IF_ERROR(Multiply(copy, batch, before > 0 ? u : x, after > 0 ? z : y));
  return after > 0 ? OutputTransform(batch, z, y, after) : absl::OkStatus();
}

absl::Status ResidentWeights::MultiplyRounded(int /*copy*/, int64_t batch, const void* /*u*/,
                                              void* /*z*/) {
  return FieldError(absl::StatusCode::kUnimplemented, "BATCH_UNSUPPORTED", "batch",
                    std::to_string(batch), "none with rounded activations");
}

absl::StatusOr<std::unique_ptr<ResidentWeights>> ResidentWeights::Replicate(
    int copies, DType activations) const {
  if (takes_activations(activations)) return MakeReplica(copies, activations);
  return FieldError(absl::StatusCode::kUnimplemented, "ACTIVATION_DTYPE_UNSUPPORTED",
                    "activations of a layer's kernels", DTypeName(activations),
                    DTypeName(activation_dtype()));
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
