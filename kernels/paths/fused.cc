// Path `fused`: one kernel decodes and multiplies; the weights are never materialised.
// Steps: the format's input transforms, fused_decode, its output transforms.
// bytes_per_run counts the compressed weights, signs and scales that a run reads, and x and y.
#include "kernels/api/error.h"
#include "kernels/api/inference_path.h"
#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "kernels/paths/inner_multiply.h"
#include "kernels/paths/prepared_linear.h"

namespace qtipd {
namespace {

class FusedPath final : public InferencePath {
 public:
  std::string_view id() const override { return "fused"; }
  std::string_view summary() const override {
    return "decode and multiply in one kernel; the weights are never materialised";
  }
  uint64_t WeightBytesPerCopy(const ResidentWeights& weights, const Device&) const override {
    return weights.multiply_bytes();
  }
  absl::StatusOr<std::unique_ptr<PreparedPath>> Prepare(Device& device, ResidentWeights& weights,
                                                        int64_t batch, int copies) const override {
    if (batch < 1 || batch > weights.max_fused_batch()) {
      return FieldError(absl::StatusCode::kUnimplemented, "BATCH_UNSUPPORTED",
                        "batch of path fused", std::to_string(batch),
                        "1 to " + std::to_string(weights.max_fused_batch()));
    }
    QTIPD_ASSIGN_OR_RETURN(auto replica, weights.Replicate(copies));
    return PreparedLinear::Create(device, std::move(replica),
                                  std::make_unique<FusedMultiply>(batch));
  }
};

}  // namespace

void Register_fused_path(Registry& registry) { registry.AddPath(std::make_unique<FusedPath>()); }

}  // namespace qtipd
