// Path `fused`: one kernel decodes and multiplies; the weights are never materialised. Batches for
// which decoding and a dense product are faster on this device, or that the kernel cannot take, are
// handed over to those; notes say so.
// Steps: the format's input transforms, fused_decode (or decode, gemv), its output transforms.
// bytes_per_run counts the compressed weights, signs and scales that a run reads, and x and y.
#include "kernels/api/error.h"
#include "kernels/api/inference_path.h"
#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "kernels/paths/cast_activations.h"
#include "kernels/paths/hand_over.h"
#include "kernels/paths/prepared_linear.h"

namespace qtipd {
namespace {

class FusedPath final : public InferencePath {
 public:
  std::string_view id() const override { return "fused"; }
  std::string_view summary() const override {
    return "decode and multiply in one kernel; large batches are handed over to dequant";
  }
  uint64_t WeightBytesPerCopy(const ResidentWeights& weights, const Device&) const override {
    return weights.multiply_bytes();
  }
  absl::StatusOr<std::unique_ptr<PreparedPath>> Prepare(Device& device, ResidentWeights& weights,
                                                        const PathProblem& problem) const override {
    if (problem.batch < 1) {
      return FieldError(absl::StatusCode::kUnimplemented, "BATCH_UNSUPPORTED",
                        "batch of path fused", std::to_string(problem.batch), "at least 1");
    }
    const DType dtype = KernelActivations(weights, problem.activations);
    QTIPD_ASSIGN_OR_RETURN(auto replica, weights.Replicate(problem.copies, dtype));
    QTIPD_ASSIGN_OR_RETURN(InnerChoice choice,
                           ChooseInnerMultiply(device, *replica, problem.batch));
    QTIPD_ASSIGN_OR_RETURN(
        auto path, PreparedLinear::Create(device, std::move(replica), std::move(choice.multiply),
                                          std::move(choice.notes)));
    return CastActivations(device, std::move(path), dtype, weights.shape(), problem);
  }
};

}  // namespace

void Register_fused_path(Registry& registry) { registry.AddPath(std::make_unique<FusedPath>()); }

}  // namespace qtipd
