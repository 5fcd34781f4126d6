#include "kernels/formats/qtip/qtip_cuda_weights.h"

#include <cuda_fp16.h>

#include <string>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/cuda/upload.h"
#include "kernels/formats/qtip/qtip_cuda_arrange.h"
#include "kernels/formats/qtip/qtip_cuda_fused.h"
#include "kernels/formats/qtip/qtip_cuda_hadamard.h"
#include "kernels/formats/qtip/qtip_cuda_linear.h"
#include "kernels/formats/qtip/qtip_cuda_matrix.h"
#include "kernels/formats/qtip/qtip_cuda_phases.h"
#include "kernels/formats/qtip/qtip_cuda_plain.h"
#include "kernels/formats/qtip/qtip_cuda_rotation.h"

namespace qtipd {
namespace {

uint64_t TableBytes(const QtipCodeSpec& spec) { return sizeof(uint16_t) * spec.table_values(); }

// What a multiply reads per weight: one of it for every copy.
struct Copy {
  Buffer packed;
  Buffer table;
};

// What belongs to activations, shared by all copies and replicas: H^T going in, H coming out.
struct Sides {
  CudaRotation input;
  CudaRotation output;
  Buffer su;
  Buffer sv;
  Buffer arranged;  // LaunchFused's scratch: all use the device's one stream
};

class QtipCudaWeights final : public ResidentWeights {
 public:
  QtipCudaWeights(CudaDevice& device, Shape shape, const QtipCodeSpec& spec,
                  std::shared_ptr<const Sides> sides, std::vector<Copy> copies, DType activations)
      : device_(device),
        shape_(shape),
        spec_(spec),
        sides_(std::move(sides)),
        copies_(std::move(copies)),
        activations_(activations) {}

  Shape shape() const override { return shape_; }
  int copies() const override { return static_cast<int>(copies_.size()); }
  uint64_t device_bytes() const override {
    return QtipCudaResidentBytes(shape_, spec_, copies()) + sides_->input.signs.bytes() +
           sides_->output.signs.bytes();
  }
  uint64_t multiply_bytes() const override {
    return 2 * QtipTrellisWords(shape_.out_features, shape_.in_features, spec_.bits) +
           TableBytes(spec_);
  }
  uint64_t transform_bytes() const override {
    return (shape_.in_features + shape_.out_features) * sizeof(float);
  }
  int64_t max_fused_batch() const override { return kMaxFusedBatch; }
  DType inner_dtype() const override { return DType::kF32; }
  DType activation_dtype() const override { return activations_; }
  bool takes_activations(DType dtype) const override {
    return dtype == DType::kF16 || dtype == DType::kBF16;
  }

  std::vector<std::string> input_steps() const override { return {"input_rotation"}; }
  std::vector<std::string> output_steps() const override {
    return {"output_rotation", "output_scale"};
  }

  absl::Status InputTransform(int64_t batch, const void* x, void* u, int step_count) override {
    QTIPD_RETURN_IF_ERROR(CheckSteps(step_count, 1));
    return LaunchInputRotation(device_, sides_->input, batch, x, sides_->su.data(), u,
                               activations_);
  }

  // Both steps are one kernel; one step leaves the scales out.
  absl::Status OutputTransform(int64_t batch, void* z, void* y, int step_count) override {
    QTIPD_RETURN_IF_ERROR(CheckSteps(step_count, 2));
    const void* sv = step_count == 1 ? nullptr : sides_->sv.data();
    return LaunchOutputRotation(device_, sides_->output, batch, z, sv, y, activations_);
  }

  absl::Status Linear(int copy, int64_t batch, const void* x, void* u, void* z, void* y) override {
    const LinearProblem problem = Whole(batch);
    if (!IsHyb()) return ResidentWeights::Linear(copy, batch, x, u, z, y);
    const LinearConfig config = ChooseLinearConfig(problem, device_.limits());
    if (!config.is_fused) return ResidentWeights::Linear(copy, batch, x, u, z, y);
    return LaunchLinear(device_, problem, config,
                        {.packed = copies_[copy].packed.data(),
                         .table = copies_[copy].table.data(),
                         .input = sides_->input,
                         .output = sides_->output,
                         .su = sides_->su.data(),
                         .sv = sides_->sv.data()},
                        x, u, z, y);
  }

  absl::Status Multiply(int copy, int64_t batch, const void* u, void* z) override {
    if (batch < 1 || batch > kMaxFusedBatch) {
      return FieldError(absl::StatusCode::kUnimplemented, "BATCH_UNSUPPORTED", "batch",
                        std::to_string(batch), "1 to " + std::to_string(kMaxFusedBatch));
    }
    const void* packed = copies_[copy].packed.data();
    const void* table = copies_[copy].table.data();
    return IsHyb() ? LaunchFused(device_, Problem(batch), packed, table, u, z, arranged())
                   : LaunchPlainFused(device_, Problem(batch), spec_, packed, table, u, z);
  }

  OperationCounts multiply_operations(int64_t batch) const override {
    if (!IsHyb()) {
      return {{"launch", static_cast<double>(PlainFusedLaunches(batch))}};
    }
    return FusedOperations(Problem(batch), device_.limits());
  }
  std::string multiply_configuration(int64_t batch) const override {
    if (!IsHyb()) return ChoosePlainConfig(Problem(batch), spec_, device_.limits()).ToString();
    return ChooseFusedConfig(Problem(batch), device_.limits()).ToString() +
           "; linear: " + ChooseLinearConfig(Whole(batch), device_.limits()).ToString();
  }
  OperationCounts decode_operations() const override { return {{"launch", 1}}; }
  OperationCounts transform_operations(int64_t) const override { return {{"launch", 2}}; }

  absl::StatusOr<std::unique_ptr<PhaseTracer>> PreparePhases(int64_t batch, const void* u, void* z,
                                                             int slots) override {
    if (!IsHyb() || batch > kMaxFusedColumns) {
      return ResidentWeights::PreparePhases(batch, u, z, slots);  // no such build, or many kernels
    }
    return PrepareFusedPhases(
        device_, Problem(batch), slots, [this, batch, u, z](int copy, PhaseRecord* records) {
          return LaunchFusedAlone(device_, Problem(batch), copies_[copy].packed.data(),
                                  copies_[copy].table.data(), u, z, arranged(), records);
        });
  }

  bool decodes_exactly() const override {
    return spec_.code != QtipCode::k1Mad && spec_.code != QtipCode::k2Mad;
  }
  absl::Status Decode(int copy, void* w) override { return DecodeTrellis(copy, DType::kF16, w); }

  // In fp32 throughout, rounded once where `dtype` is F16. At most tens of milliseconds, so that
  // nobody has to ask whether the result is still wanted.
  absl::Status DecodeOriginal(void* w, DType dtype, const Progress&) override {
    const int64_t rows = shape_.out_features;
    const int64_t cols = shape_.in_features;
    Buffer scratch;
    if (dtype != DType::kF32) {
      QTIPD_ASSIGN_OR_RETURN(scratch, device_.Allocate(rows * cols * sizeof(float)));
    }
    float* wide = dtype == DType::kF32 ? static_cast<float*>(w) : scratch.as<float>();
    QTIPD_RETURN_IF_ERROR(DecodeTrellis(0, DType::kF32, wide));
    QTIPD_ASSIGN_OR_RETURN(const CudaRotation input, MakeCudaRotation(device_, sides_->input.sides,
                                                                      HadamardDirection::kForward));
    QTIPD_RETURN_IF_ERROR(LaunchMatrixHadamard(device_, wide, sides_->output, input));
    const auto* sv = sides_->sv.as<float>();
    const auto* su = sides_->su.as<float>();
    QTIPD_RETURN_IF_ERROR(
        dtype == DType::kF32
            ? LaunchScale(device_, wide, sv, su, rows, cols, wide)
            : LaunchScale(device_, wide, sv, su, rows, cols, static_cast<__half*>(w)));
    return device_.Synchronize();  // before the scratch memory goes
  }

 private:
  absl::StatusOr<std::unique_ptr<ResidentWeights>> MakeReplica(int copies,
                                                               DType activations) const override {
    std::vector<Copy> replicas;
    for (int i = 0; i < copies; ++i) {
      Copy replica;
      QTIPD_ASSIGN_OR_RETURN(replica.packed, Duplicate(device_, copies_[0].packed));
      QTIPD_ASSIGN_OR_RETURN(replica.table, Duplicate(device_, copies_[0].table));
      replicas.push_back(std::move(replica));
    }
    // The fused kernel reads weights before it waits for earlier grids: they must be there.
    QTIPD_RETURN_IF_ERROR(device_.Synchronize());
    return std::make_unique<QtipCudaWeights>(device_, shape_, spec_, sides_, std::move(replicas),
                                             activations);
  }

  absl::Status DecodeTrellis(int copy, DType dtype, void* w) const {
    const void* packed = copies_[copy].packed.data();
    const void* table = copies_[copy].table.data();
    return QtipHasKernelLayout(spec_)
               ? LaunchDecode(device_, shape_, spec_.bits, packed, table, dtype, w)
               : LaunchPlainDecode(device_, shape_, spec_, packed, table, dtype, w);
  }

  void* arranged() const { return sides_->arranged.data(); }

  // At every rate, in either layout.
  bool IsHyb() const { return spec_.code == QtipCode::kHyb; }

  FusedProblem Problem(int64_t batch) const {
    return {.out_features = shape_.out_features,
            .in_features = shape_.in_features,
            .bits = spec_.bits,
            .batch = batch};
  }

  LinearProblem Whole(int64_t batch) const {
    return {.multiply = Problem(batch),
            .input = sides_->input.sides,
            .output = sides_->output.sides,
            .activations = activations_};
  }

  static absl::Status CheckSteps(int got, int most) {
    if (got >= 1 && got <= most) return absl::OkStatus();
    return InvalidField("STEP_INVALID", "step_count", std::to_string(got),
                        "1 to " + std::to_string(most));
  }

  CudaDevice& device_;
  const Shape shape_;
  const QtipCodeSpec spec_;
  const std::shared_ptr<const Sides> sides_;
  const std::vector<Copy> copies_;
  const DType activations_;  // F16 or BF16
};

}  // namespace

uint64_t QtipCudaResidentBytes(Shape shape, const QtipCodeSpec& spec, int copies) {
  const uint64_t copy =
      UnitLayerBytes(shape.out_features, shape.in_features, spec.bits) + TableBytes(spec);
  const uint64_t scratch =
      spec.code == QtipCode::kHyb ? ArrangedBytes(shape.in_features, kMaxFusedColumns) : 0;
  return copies * copy + (shape.out_features + shape.in_features) * sizeof(float) + scratch;
}

absl::StatusOr<std::unique_ptr<ResidentWeights>> LoadQtipOnCuda(CudaDevice& device,
                                                                const QtipLayer& layer) {
  const Shape shape = layer.shape;
  auto sides = std::make_shared<Sides>();
  QTIPD_ASSIGN_OR_RETURN(sides->input, MakeCudaRotation(device, layer.input_rotation(),
                                                        HadamardDirection::kTransposed));
  QTIPD_ASSIGN_OR_RETURN(sides->output, MakeCudaRotation(device, layer.output_rotation(),
                                                         HadamardDirection::kForward));
  QTIPD_ASSIGN_OR_RETURN(sides->su, Upload(device, layer.su));
  QTIPD_ASSIGN_OR_RETURN(sides->sv, Upload(device, layer.sv));
  if (layer.spec.code == QtipCode::kHyb) {
    QTIPD_ASSIGN_OR_RETURN(sides->arranged,
                           device.Allocate(ArrangedBytes(shape.in_features, kMaxFusedColumns)));
  }
  std::vector<Copy> copies(1);
  QTIPD_ASSIGN_OR_RETURN(copies[0].table, Upload(device, layer.tlut));
  QTIPD_ASSIGN_OR_RETURN(const Buffer trellis, Upload(device, layer.trellis));
  QTIPD_ASSIGN_OR_RETURN(
      copies[0].packed,
      device.Allocate(UnitLayerBytes(shape.out_features, shape.in_features, layer.spec.bits)));
  QTIPD_RETURN_IF_ERROR(
      LaunchRepack(device, shape, layer.spec, trellis.data(), copies[0].packed.data()));
  QTIPD_RETURN_IF_ERROR(device.Synchronize());
  return std::make_unique<QtipCudaWeights>(device, shape, layer.spec, std::move(sides),
                                           std::move(copies), DType::kF16);
}

}  // namespace qtipd
