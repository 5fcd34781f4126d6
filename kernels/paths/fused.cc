// Path `fused`: one kernel decodes and multiplies; the weights are never materialised.
// Steps: the format's input transforms, fused_decode, its output transforms.
// bytes_per_run counts the compressed weights, signs and scales that a run reads, and x and y.
#include "kernels/api/error.h"
#include "kernels/api/inference_path.h"
#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "kernels/paths/linear_scratch.h"

namespace qtipd {
namespace {

class PreparedFused final : public PreparedPath {
 public:
  PreparedFused(std::unique_ptr<ResidentWeights> weights, LinearScratch scratch, int64_t batch,
                uint64_t activation_bytes)
      : weights_(std::move(weights)),
        scratch_(std::move(scratch)),
        batch_(batch),
        activation_bytes_(activation_bytes) {}

  const std::vector<std::string>& steps() const override { return scratch_.steps(); }
  int copies() const override { return weights_->copies(); }
  absl::Status Run(int copy, const void* x, void* y, int first_step, int end_step) override {
    return scratch_.Run(*weights_, x, y, first_step, end_step, [&](int, const void* u, void* z) {
      return weights_->Multiply(copy, batch_, u, z);
    });
  }
  bool RepeatsPrevious(int step) const override { return scratch_.RepeatsPrevious(step); }
  uint64_t bytes_per_run() const override { return weight_bytes() + activation_bytes_; }
  uint64_t weight_bytes() const override {
    return weights_->multiply_bytes() + weights_->transform_bytes();
  }
  OperationCounts operations() const override {
    return Sum(weights_->multiply_operations(batch_), weights_->transform_operations(batch_));
  }
  absl::StatusOr<std::unique_ptr<PhaseTracer>> PreparePhases(const void* x, void* y,
                                                             int slots) override {
    return weights_->PreparePhases(batch_, scratch_.u(x), scratch_.z(y), slots);
  }

 private:
  std::unique_ptr<ResidentWeights> weights_;
  LinearScratch scratch_;
  int64_t batch_;
  uint64_t activation_bytes_;
};

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
    QTIPD_ASSIGN_OR_RETURN(LinearScratch scratch,
                           LinearScratch::Create(device, weights, batch, {"fused_decode"}));
    return std::make_unique<PreparedFused>(std::move(replica), std::move(scratch), batch,
                                           ActivationBytes(device, weights.shape(), batch));
  }
};

}  // namespace

void Register_fused_path(Registry& registry) { registry.AddPath(std::make_unique<FusedPath>()); }

}  // namespace qtipd
