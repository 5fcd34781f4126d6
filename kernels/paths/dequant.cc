// Path `dequant`: decodes the whole matrix into scratch memory, then multiplies it densely.
// Steps: the format's input transforms, decode, gemv, its output transforms.
// bytes_per_run counts the compressed weights, signs and scales, x and y and not the scratch
// matrix: the effective bandwidth is that of the artefact, comparable between paths.
#include "kernels/api/error.h"
#include "kernels/api/inference_path.h"
#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "kernels/paths/cast_activations.h"
#include "kernels/paths/inner_multiply.h"
#include "kernels/paths/prepared_linear.h"

namespace qtipd {
namespace {

class DequantPath final : public InferencePath {
 public:
  std::string_view id() const override { return "dequant"; }
  std::string_view summary() const override {
    return "decode to a full matrix, then a dense multiplication";
  }
  uint64_t WeightBytesPerCopy(const ResidentWeights& weights, const Device&) const override {
    return weights.multiply_bytes();
  }
  absl::StatusOr<std::unique_ptr<PreparedPath>> Prepare(Device& device, ResidentWeights& weights,
                                                        const PathProblem& problem) const override {
    if (problem.batch < 1) {
      return FieldError(absl::StatusCode::kUnimplemented, "BATCH_UNSUPPORTED",
                        "batch of path dequant", std::to_string(problem.batch), "at least 1");
    }
    const DType dtype = KernelActivations(weights, problem.activations);
    QTIPD_ASSIGN_OR_RETURN(auto replica, weights.Replicate(problem.copies, dtype));
    QTIPD_ASSIGN_OR_RETURN(auto multiply, DecodeMultiply::Create(device, *replica, problem.batch));
    QTIPD_ASSIGN_OR_RETURN(auto path,
                           PreparedLinear::Create(device, std::move(replica), std::move(multiply)));
    return CastActivations(device, std::move(path), dtype, weights.shape(), problem);
  }
};

}  // namespace

void Register_dequant_path(Registry& registry) {
  registry.AddPath(std::make_unique<DequantPath>());
}

}  // namespace qtipd
