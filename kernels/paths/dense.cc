// Path `dense`: multiplies W_hat in the original basis, decoded once while preparing: what the
// layer costs without its format. One step, gemv. bytes_per_run counts the dense weights, x and y.
// W_hat is of the activations' dtype where the device multiplies that, else of the compute dtype.
#include "kernels/api/error.h"
#include "kernels/api/inference_path.h"
#include "kernels/api/options.h"
#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "kernels/paths/cast_activations.h"
#include "kernels/paths/prepared_linear.h"

namespace qtipd {
namespace {

uint64_t DenseBytes(Shape shape, DType dtype) {
  return static_cast<uint64_t>(shape.out_features * shape.in_features) * DTypeSize(dtype);
}

// Of W_hat and of x and y where they are multiplied.
DType DenseDType(const DeviceInfo& device, DType activations) {
  const bool is_bf16 = activations == DType::kBF16 && device.multiplies_bf16;
  return is_bf16 ? DType::kBF16 : device.compute_dtype;
}

// W_hat of `dtype`, rounded once, to `w`. Blocks.
absl::Status DecodeTo(Device& device, ResidentWeights& weights, DType dtype, void* w) {
  if (dtype == device.info().compute_dtype) return weights.DecodeOriginal(w, dtype, NoProgress());
  const Shape shape = weights.shape();
  QTIPD_ASSIGN_OR_RETURN(const Buffer wide, device.Allocate(DenseBytes(shape, DType::kF32)));
  QTIPD_RETURN_IF_ERROR(weights.DecodeOriginal(wide.data(), DType::kF32, NoProgress()));
  QTIPD_RETURN_IF_ERROR(
      device.Convert(w, dtype, wide.data(), DType::kF32, shape.out_features * shape.in_features));
  return device.Synchronize();  // before the scratch memory goes
}

class PreparedDense final : public PreparedPath {
 public:
  // `weights` holds `copies` copies, one after the other.
  PreparedDense(Buffer weights, int copies, std::unique_ptr<DenseMultiply> multiply,
                uint64_t activation_bytes)
      : weights_(std::move(weights)),
        copies_(copies),
        multiply_(std::move(multiply)),
        activation_bytes_(activation_bytes) {}

  const std::vector<std::string>& steps() const override { return steps_; }
  int copies() const override { return copies_; }
  absl::Status Run(int copy, const void* x, void* y, int first_step, int end_step) override {
    if (first_step > 0 || end_step < 1) return absl::OkStatus();
    return multiply_->Run(weights_.as<std::byte>() + copy * weight_bytes(), x, y);
  }
  uint64_t bytes_per_run() const override { return weight_bytes() + activation_bytes_; }
  uint64_t weight_bytes() const override { return weights_.bytes() / copies_; }
  OperationCounts operations() const override {
    return {{"launch", 1}};
  }  // the library's, at least
  std::map<std::string, std::string> notes() const override {
    std::map<std::string, std::string> notes = {{"dense_multiply", multiply_->description()}};
    for (const auto& [candidate, seconds] : multiply_->candidate_seconds()) {
      notes["dense_candidate_seconds." + candidate] = OptionText(seconds);
    }
    return notes;
  }

 private:
  std::vector<std::string> steps_ = {"gemv"};
  Buffer weights_;
  int copies_;
  std::unique_ptr<DenseMultiply> multiply_;
  uint64_t activation_bytes_;
};

class DensePath final : public InferencePath {
 public:
  std::string_view id() const override { return "dense"; }
  std::string_view summary() const override {
    return "dense multiplication of the decoded weights in the original basis";
  }
  uint64_t WeightBytesPerCopy(const ResidentWeights& weights, const Device& device) const override {
    return DenseBytes(weights.shape(), device.info().compute_dtype);
  }
  absl::StatusOr<std::unique_ptr<PreparedPath>> Prepare(Device& device, ResidentWeights& weights,
                                                        const PathProblem& problem) const override {
    const auto [batch, copies, activations] = problem;
    if (batch < 1) {
      return FieldError(absl::StatusCode::kUnimplemented, "BATCH_UNSUPPORTED",
                        "batch of path dense", std::to_string(batch), "at least 1");
    }
    const Shape shape = weights.shape();
    const DType dtype = DenseDType(device.info(), activations);
    // One block, so that small copies do not lie on small pages.
    const uint64_t bytes = DenseBytes(shape, dtype);
    QTIPD_ASSIGN_OR_RETURN(Buffer block, device.Allocate(copies * bytes));
    QTIPD_RETURN_IF_ERROR(DecodeTo(device, weights, dtype, block.data()));
    for (int copy = 1; copy < copies; ++copy) {
      QTIPD_RETURN_IF_ERROR(device.Copy(block.as<std::byte>() + copy * bytes, block.data(), bytes));
    }
    QTIPD_ASSIGN_OR_RETURN(auto multiply, device.PrepareDense({.out_features = shape.out_features,
                                                               .in_features = shape.in_features,
                                                               .batch = batch,
                                                               .input_dtype = dtype,
                                                               .output_dtype = dtype}));
    auto path = std::make_unique<PreparedDense>(std::move(block), copies, std::move(multiply),
                                                ActivationBytes(dtype, shape, batch));
    return CastActivations(device, std::move(path), dtype, shape, problem);
  }
};

}  // namespace

void Register_dense_path(Registry& registry) { registry.AddPath(std::make_unique<DensePath>()); }

}  // namespace qtipd
