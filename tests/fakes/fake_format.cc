#include "tests/fakes/fake_format.h"

#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

const HostTensor& Rounded(const PackedLayer& layer) { return layer.tensors.at("rounded"); }

class FakeFormat final : public WeightFormat {
 public:
  explicit FakeFormat(std::shared_ptr<FakeFormatControl> control) : control_(std::move(control)) {}
  std::string_view id() const override { return "fake"; }
  std::string_view summary() const override { return "weights rounded to multiples of 2^-bits"; }
  const OptionSchema& schema() const override { return schema_; }
  absl::Status CheckShape(const Options&, Shape shape) const override {
    if (shape.out_features % 4 == 0 && shape.in_features % 4 == 0) return absl::OkStatus();
    return InvalidField("SHAPE_UNSUPPORTED", "shape", "odd", "multiples of 4");
  }
  uint64_t PackedBytes(const Options&, Shape shape) const override {
    return static_cast<uint64_t>(4 * shape.out_features * shape.in_features);
  }
  Workspace QuantizeWorkspace(const Options&, Shape, bool, std::string_view) const override {
    return {};
  }
  bool Recognises(const TensorMap& tensors) const override { return tensors.count("rounded") > 0; }
  absl::StatusOr<PackedLayer> Import(
      const TensorMap& tensors, const std::map<std::string, OptionValue>& given) const override {
    control_->on_import();
    PackedLayer layer{.format = "fake", .tensors = tensors};
    QTIPD_ASSIGN_OR_RETURN(layer.options, CheckOptions(schema_, given));
    const std::vector<int64_t>& shape = Rounded(layer).shape();
    if (shape.size() != 2) return InvalidField("CHECKPOINT_INVALID", "rounded", "?", "a matrix");
    layer.shape = {shape[0], shape[1]};
    return layer;
  }
  absl::StatusOr<TensorMap> Export(const PackedLayer& layer) const override {
    return layer.tensors;
  }
  bool RecognisesModel(const std::string& config) const override {
    return config.starts_with("fake model");
  }
  absl::StatusOr<ModelPlan> PlanModel(const ModelCheckpoint& checkpoint) const override {
    ModelPlan plan{.linears = {}, .other_tensors = checkpoint.absent_tensors};
    for (const auto& [name, tensor] : checkpoint.tensors) {
      const size_t cut = name.rfind('.') + 1;
      if (name.substr(cut) == "rounded") {
        plan.linears.push_back({name.substr(0, cut), {{"rounded", tensor}}, {}});
      } else {
        plan.other_tensors.push_back(name);
      }
    }
    return plan;
  }
  absl::StatusOr<std::string> ModelConfig(
      const std::string& config, const std::map<std::string, PackedLayer>& layers) const override {
    return config + " of " + std::to_string(layers.size());
  }
  absl::Status Validate(const PackedLayer& layer) const override {
    if (Recognises(layer.tensors)) return absl::OkStatus();
    return InvalidField("CHECKPOINT_INVALID", "rounded", "nothing", "a tensor");
  }
  absl::StatusOr<std::vector<float>> ReferenceWeights(const PackedLayer& layer) const override {
    return Rounded(layer).ToFloat();
  }
  absl::StatusOr<std::vector<double>> ReferenceMultiply(const PackedLayer& layer,
                                                        std::span<const float> x,
                                                        int64_t batch) const override {
    const std::vector<float> w = Rounded(layer).ToFloat();
    const auto [out, in] = layer.shape;
    std::vector<double> y(static_cast<size_t>(batch * out));
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t i = 0; i < out; ++i) {
        for (int64_t j = 0; j < in; ++j) y[b * out + i] += double{w[i * in + j]} * x[b * in + j];
      }
    }
    return y;
  }
  std::vector<std::string> fused_phases() const override { return {"loop"}; }

 private:
  const std::shared_ptr<FakeFormatControl> control_;
  const OptionSchema schema_ = {
      {.name = "bits", .help = "bits", .default_value = int64_t{2}, .minimum = 1, .maximum = 8},
      {.name = "code",
       .help = "code",
       .default_value = std::string("plain"),
       .choices = {std::string("plain")}},
  };
};

class FakeResident final : public ResidentWeights {
 public:
  FakeResident(Device& device, std::shared_ptr<FakeFormatControl> control, Shape shape,
               std::vector<Buffer> copies)
      : device_(device), control_(std::move(control)), shape_(shape), copies_(std::move(copies)) {}

  static absl::StatusOr<std::unique_ptr<ResidentWeights>> Make(
      Device& device, std::shared_ptr<FakeFormatControl> control, Shape shape, const void* weights,
      int copies) {
    std::vector<Buffer> buffers;
    const size_t bytes = static_cast<size_t>(shape.out_features * shape.in_features) * 4;
    for (int i = 0; i < copies; ++i) {
      QTIPD_ASSIGN_OR_RETURN(Buffer buffer, device.Allocate(bytes));
      QTIPD_RETURN_IF_ERROR(device.CopyToDevice(buffer.data(), weights, bytes));
      buffers.push_back(std::move(buffer));
    }
    return std::make_unique<FakeResident>(device, std::move(control), shape, std::move(buffers));
  }

  Shape shape() const override { return shape_; }
  int copies() const override { return static_cast<int>(copies_.size()); }
  uint64_t device_bytes() const override { return copies_.size() * copies_[0].bytes(); }
  uint64_t multiply_bytes() const override { return copies_[0].bytes(); }
  int64_t max_fused_batch() const override { return 4; }
  DType inner_dtype() const override { return DType::kF32; }
  DType activation_dtype() const override { return DType::kF32; }
  std::vector<std::string> input_steps() const override { return {}; }
  std::vector<std::string> output_steps() const override { return {"output_scale"}; }
  absl::Status InputTransform(int64_t, const void*, void*, int) override {
    return absl::OkStatus();
  }
  absl::Status OutputTransform(int64_t batch, void* z, void* y, int) override {
    return device_.Copy(y, z, static_cast<size_t>(batch * shape_.out_features) * 4);
  }
  absl::Status Multiply(int copy, int64_t batch, const void* u, void* z) override {
    const float* w = copies_[copy].as<float>();
    const float* x = static_cast<const float*>(u);
    float* y = static_cast<float*>(z);
    const auto [out, in] = shape_;
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t i = 0; i < out; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < in; ++j) sum += double{w[i * in + j]} * x[b * in + j];
        y[b * out + i] = static_cast<float>(sum) + control_->multiply_error;
      }
    }
    return absl::OkStatus();
  }
  std::string multiply_configuration(int64_t) const override {
    return control_->multiply_configuration;
  }
  absl::Status Decode(int copy, void* w) override {
    return device_.Copy(w, copies_[copy].data(), copies_[copy].bytes());
  }
  absl::Status DecodeOriginal(void* w, DType, const Progress&) override { return Decode(0, w); }

 private:
  absl::StatusOr<std::unique_ptr<ResidentWeights>> MakeReplica(int copies, DType) const override {
    return Make(device_, control_, shape_, copies_[0].data(), copies);
  }

  Device& device_;
  std::shared_ptr<FakeFormatControl> control_;
  const Shape shape_;
  std::vector<Buffer> copies_;
};

class FakeFormatBackend final : public FormatBackend {
 public:
  explicit FakeFormatBackend(std::shared_ptr<FakeFormatControl> control)
      : control_(std::move(control)) {}
  std::string_view format_id() const override { return "fake"; }
  std::string_view backend_id() const override { return "fake"; }

  absl::StatusOr<PackedLayer> Quantize(Device& device, const QuantizeProblem& problem,
                                       Progress& progress, QuantizeReport& report) const override {
    progress.Report(0.5, "rounding");
    control_->on_quantize();
    if (progress.IsCancelled()) return absl::CancelledError("cancelled");
    QTIPD_RETURN_IF_ERROR(device.Health());
    const float scale = std::exp2(static_cast<float>(problem.options.GetInt("bits")));
    std::vector<float> rounded;
    for (float weight : problem.weights) rounded.push_back(std::round(weight * scale) / scale);
    PackedLayer layer{.format = "fake", .options = problem.options, .shape = problem.shape};
    layer.tensors["rounded"] = HostTensor::Take(
        DType::kF32, {problem.shape.out_features, problem.shape.in_features}, std::move(rounded));
    report.proxy_error = 0.25;
    report.step_seconds = {{"rounding", 0.5}};
    return layer;
  }
  uint64_t LoadBytes(const PackedLayer& layer) const override {
    return Rounded(layer).bytes().size();
  }
  absl::StatusOr<std::unique_ptr<ResidentWeights>> Load(Device& device,
                                                        const PackedLayer& layer) const override {
    return FakeResident::Make(device, control_, layer.shape, Rounded(layer).bytes().data(), 1);
  }

 private:
  std::shared_ptr<FakeFormatControl> control_;
};

}  // namespace

void AddFakeFormat(Registry& registry, std::shared_ptr<FakeFormatControl> control) {
  registry.AddFormat(std::make_unique<FakeFormat>(control));
  registry.AddFormatBackend(std::make_unique<FakeFormatBackend>(std::move(control)));
}

}  // namespace qtipd
