// Path `fused_a16`: as `fused`, with activations rounded to 16-bit fixed point, one unit for each
// vector, and tables of weights where the format rounds those too. Its results differ from
// those of `fused` by up to kRoundedError, so it runs only where it is asked for by name.
// Steps and bytes are those of `fused`.
#include "kernels/api/error.h"
#include "kernels/api/inference_path.h"
#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "kernels/paths/linear_scratch.h"

namespace qtipd {
namespace {

// Relative L2 error of the bare kernel, of Gaussian activations and any table.
constexpr double kRoundedError = 1e-4;

class PreparedFusedA16 final : public PreparedPath {
 public:
  PreparedFusedA16(std::unique_ptr<ResidentWeights> weights, LinearScratch scratch, int64_t batch,
                   uint64_t activation_bytes)
      : weights_(std::move(weights)),
        scratch_(std::move(scratch)),
        batch_(batch),
        activation_bytes_(activation_bytes) {}

  const std::vector<std::string>& steps() const override { return scratch_.steps(); }
  int copies() const override { return weights_->copies(); }
  absl::Status Run(int copy, const void* x, void* y, int first_step, int end_step) override {
    return scratch_.Run(*weights_, x, y, first_step, end_step, [&](int, const void* u, void* z) {
      return weights_->MultiplyRounded(copy, batch_, u, z);
    });
  }
  bool RepeatsPrevious(int step) const override { return scratch_.RepeatsPrevious(step); }
  uint64_t bytes_per_run() const override { return weight_bytes() + activation_bytes_; }
  uint64_t weight_bytes() const override {
    return weights_->multiply_bytes() + weights_->transform_bytes();
  }
  OperationCounts operations() const override {
    return weights_->transform_operations(batch_);  // those of the kernel are of other kinds
  }
  std::map<std::string, std::string> notes() const override {
    return {{"activations", "rounded to 16 bits, a unit for each vector"}};
  }

 private:
  std::unique_ptr<ResidentWeights> weights_;
  LinearScratch scratch_;
  int64_t batch_;
  uint64_t activation_bytes_;
};

class FusedA16Path final : public InferencePath {
 public:
  std::string_view id() const override { return "fused_a16"; }
  std::string_view summary() const override {
    return "fused, activations rounded to 16 bits: up to 1e-4 of error by design";
  }
  double designed_error() const override { return kRoundedError; }
  uint64_t WeightBytesPerCopy(const ResidentWeights& weights, const Device&) const override {
    return weights.multiply_bytes();
  }
  absl::StatusOr<std::unique_ptr<PreparedPath>> Prepare(Device& device, ResidentWeights& weights,
                                                        int64_t batch, int copies) const override {
    const int64_t most = weights.max_rounded_batch();
    if (batch < 1 || batch > most) {
      return FieldError(absl::StatusCode::kUnimplemented, "BATCH_UNSUPPORTED",
                        "batch of path fused_a16", std::to_string(batch),
                        most == 0 ? "none of this format on " + device.info().backend
                                  : "1 to " + std::to_string(most));
    }
    QTIPD_ASSIGN_OR_RETURN(auto replica, weights.Replicate(copies));
    QTIPD_ASSIGN_OR_RETURN(LinearScratch scratch,
                           LinearScratch::Create(device, weights, batch, {"fused_decode"}));
    return std::make_unique<PreparedFusedA16>(std::move(replica), std::move(scratch), batch,
                                              ActivationBytes(device, weights.shape(), batch));
  }
};

}  // namespace

void Register_fused_a16_path(Registry& registry) {
  registry.AddPath(std::make_unique<FusedA16Path>());
}

}  // namespace qtipd
