// Path `dequant`: decodes the whole matrix into scratch memory, then multiplies it densely.
// Steps: the format's input transforms, decode, gemv, its output transforms.
// bytes_per_run counts the compressed weights, signs and scales, x and y and not the scratch
// matrix: the effective bandwidth is that of the artefact, comparable between paths.
#include "kernels/api/error.h"
#include "kernels/api/inference_path.h"
#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "kernels/paths/linear_scratch.h"

namespace qtipd {
namespace {

class PreparedDequant final : public PreparedPath {
 public:
  struct Parts {
    std::unique_ptr<ResidentWeights> weights;
    LinearScratch scratch;
    Buffer decoded;  // [out_features, in_features], device compute dtype
    std::unique_ptr<DenseMultiply> multiply;
    int64_t batch = 1;
    uint64_t activation_bytes = 0;
  };

  explicit PreparedDequant(Parts parts) : parts_(std::move(parts)) {}

  const std::vector<std::string>& steps() const override { return parts_.scratch.steps(); }
  int copies() const override { return parts_.weights->copies(); }
  absl::Status Run(int copy, const void* x, void* y, int first_step, int end_step) override {
    return parts_.scratch.Run(
        *parts_.weights, x, y, first_step, end_step, [&](int step, const void* u, void* z) {
          return step == 0 ? parts_.weights->Decode(copy, parts_.decoded.data())
                           : parts_.multiply->Run(parts_.decoded.data(), u, z);
        });
  }
  bool RepeatsPrevious(int step) const override { return parts_.scratch.RepeatsPrevious(step); }
  uint64_t bytes_per_run() const override { return weight_bytes() + parts_.activation_bytes; }
  uint64_t scratch_bytes() const override { return parts_.decoded.bytes(); }
  uint64_t weight_bytes() const override {
    return parts_.weights->multiply_bytes() + parts_.weights->transform_bytes();
  }
  std::map<std::string, std::string> notes() const override {
    return {{"dense_multiply", parts_.multiply->description()}};
  }
  OperationCounts operations() const override {
    const ResidentWeights& weights = *parts_.weights;
    return Sum(Sum(weights.decode_operations(), weights.transform_operations(parts_.batch)),
               {{"launch", 1}});  // the library's, at least
  }

 private:
  Parts parts_;
};

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
                                                        int64_t batch, int copies) const override {
    if (batch < 1) {
      return FieldError(absl::StatusCode::kUnimplemented, "BATCH_UNSUPPORTED",
                        "batch of path dequant", std::to_string(batch), "at least 1");
    }
    const Shape shape = weights.shape();
    PreparedDequant::Parts parts;
    QTIPD_ASSIGN_OR_RETURN(parts.weights, weights.Replicate(copies));
    QTIPD_ASSIGN_OR_RETURN(parts.scratch,
                           LinearScratch::Create(device, weights, batch, {"decode", "gemv"}));
    QTIPD_ASSIGN_OR_RETURN(parts.decoded, device.Allocate(shape.out_features * shape.in_features *
                                                          DTypeSize(device.info().compute_dtype)));
    QTIPD_ASSIGN_OR_RETURN(parts.multiply,
                           device.PrepareDense({.out_features = shape.out_features,
                                                .in_features = shape.in_features,
                                                .batch = batch,
                                                .output_dtype = weights.inner_dtype()}));
    parts.batch = batch;
    parts.activation_bytes = ActivationBytes(device, shape, batch);
    return std::make_unique<PreparedDequant>(std::move(parts));
  }
};

}  // namespace

void Register_dequant_path(Registry& registry) {
  registry.AddPath(std::make_unique<DequantPath>());
}

}  // namespace qtipd
