#include "tests/fakes/fake_path.h"

#include <string>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/paths/cast_activations.h"

namespace qtipd {
namespace {

class FakePrepared final : public PreparedPath {
 public:
  FakePrepared(std::unique_ptr<ResidentWeights> weights, Buffer z, int64_t batch)
      : weights_(std::move(weights)), z_(std::move(z)), batch_(batch) {}
  const std::vector<std::string>& steps() const override { return steps_; }
  int copies() const override { return weights_->copies(); }
  absl::Status Run(int copy, const void* x, void* y, int first_step, int end_step) override {
    if (first_step <= 0 && end_step > 0) {
      QTIPD_RETURN_IF_ERROR(weights_->Multiply(copy, batch_, x, z_.data()));
    }
    if (first_step <= 1 && end_step > 1) {
      QTIPD_RETURN_IF_ERROR(weights_->OutputTransform(batch_, z_.data(), y, 1));
    }
    return absl::OkStatus();
  }
  uint64_t bytes_per_run() const override { return 1000; }
  uint64_t weight_bytes() const override { return weights_->multiply_bytes(); }
  std::map<std::string, std::string> notes() const override { return {{"kernel", "fake"}}; }

 private:
  const std::vector<std::string> steps_ = {"fused_decode", "output_scale"};
  std::unique_ptr<ResidentWeights> weights_;
  Buffer z_;
  const int64_t batch_;
};

class FakePath final : public InferencePath {
 public:
  std::string_view id() const override { return "fused"; }
  std::string_view summary() const override { return "the fake path"; }
  uint64_t WeightBytesPerCopy(const ResidentWeights& weights, const Device&) const override {
    return weights.multiply_bytes();
  }
  absl::StatusOr<std::unique_ptr<PreparedPath>> Prepare(Device& device, ResidentWeights& weights,
                                                        const PathProblem& problem) const override {
    const int64_t batch = problem.batch;
    if (batch > weights.max_fused_batch()) {
      return FieldError(absl::StatusCode::kUnimplemented, "BATCH_UNSUPPORTED", "batch",
                        std::to_string(batch), "1 to 4");
    }
    QTIPD_ASSIGN_OR_RETURN(auto replicated, weights.Replicate(problem.copies));
    QTIPD_ASSIGN_OR_RETURN(
        Buffer z, device.Allocate(static_cast<size_t>(batch * weights.shape().out_features) * 4));
    auto path = std::make_unique<FakePrepared>(std::move(replicated), std::move(z), batch);
    return CastActivations(device, std::move(path), weights.activation_dtype(), weights.shape(),
                           problem);
  }
};

}  // namespace

std::unique_ptr<InferencePath> MakeFakePath() { return std::make_unique<FakePath>(); }

}  // namespace qtipd
