// Format "int4": what it accepts, and its registration.
#include "kernels/formats/int4/int4_format.h"

#include <algorithm>
#include <string>
#include <thread>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "kernels/formats/int4/int4_checkpoint.h"
#include "kernels/formats/int4/int4_cpu.h"
#include "kernels/formats/int4/int4_layer.h"
#include "kernels/formats/int4/int4_model.h"
#include "kernels/formats/int4/int4_options.h"
#include "kernels/formats/int4/int4_quantize.h"
#include "kernels/formats/int4/int4_reference.h"

namespace qtipd {
namespace {

class Int4Format final : public WeightFormat {
 public:
  std::string_view id() const override { return "int4"; }
  std::string_view summary() const override {
    return "group-wise 4-bit integers, by rounding to nearest or GPTQ; reads GPTQ and AWQ layers";
  }
  const OptionSchema& schema() const override { return schema_; }

  absl::Status CheckShape(const Options& options, Shape shape) const override {
    return CheckInt4Shape(options, shape);
  }

  uint64_t PackedBytes(const Options& options, Shape shape) const override {
    return Int4PackedBytes(Int4SpecOf(options, shape.in_features), shape);
  }

  Workspace QuantizeWorkspace(const Options& options, Shape shape, bool has_hessian,
                              std::string_view /*backend*/) const override {
    const int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    return {.host_bytes =
                PackedBytes(options, shape) + Int4CpuWorkspaceBytes(shape, has_hessian, threads),
            .device_bytes = 0};
  }

  bool Recognises(const TensorMap& tensors) const override {
    // A layer that lacks a tensor is still one: Import names what is missing.
    return tensors.contains("qweight") ||
           (tensors.contains("qzeros") && tensors.contains("scales"));
  }

  absl::StatusOr<PackedLayer> Import(
      const TensorMap& tensors, const std::map<std::string, OptionValue>& given) const override {
    QTIPD_ASSIGN_OR_RETURN(const Options stated, CheckOptions(schema_, given));
    QTIPD_RETURN_IF_ERROR(CheckInt4ImportOptions(given));
    std::map<std::string, OptionValue> options;
    for (const auto& [name, value] : given) options[name] = stated.values().at(name);
    QTIPD_ASSIGN_OR_RETURN(Int4Checkpoint checkpoint, ReadInt4Checkpoint(tensors, options));
    for (const auto& [name, value] : Int4OptionsOf(checkpoint.spec, checkpoint.shape.in_features)) {
      options.try_emplace(name, value);
    }
    PackedLayer packed{"int4", {}, checkpoint.shape, std::move(checkpoint.tensors)};
    QTIPD_ASSIGN_OR_RETURN(packed.options, CheckOptions(schema_, options));
    QTIPD_RETURN_IF_ERROR(Validate(packed));
    return packed;
  }

  absl::StatusOr<TensorMap> Export(const PackedLayer& packed) const override {
    QTIPD_ASSIGN_OR_RETURN(const Int4Layer layer, ParseInt4Layer(packed));
    return WriteInt4Checkpoint(layer, packed.tensors);
  }

  bool RecognisesModel(const std::string& config) const override {
    return IsInt4ModelConfig(config);
  }

  absl::StatusOr<ModelPlan> PlanModel(const ModelCheckpoint& checkpoint) const override {
    return PlanInt4Model(checkpoint);
  }

  absl::StatusOr<std::string> ModelConfig(
      const std::string& config, const std::map<std::string, PackedLayer>& layers) const override {
    return WriteInt4ModelConfig(config, layers);
  }

  absl::Status Validate(const PackedLayer& layer) const override {
    return ParseInt4Layer(layer).status();
  }

  absl::StatusOr<std::vector<float>> ReferenceWeights(const PackedLayer& packed) const override {
    QTIPD_ASSIGN_OR_RETURN(const Int4Layer layer, ParseInt4Layer(packed));
    return Int4ReferenceWeights(layer);
  }

  absl::StatusOr<std::vector<double>> ReferenceMultiply(const PackedLayer& packed,
                                                        std::span<const float> x,
                                                        int64_t batch) const override {
    QTIPD_ASSIGN_OR_RETURN(const Int4Layer layer, ParseInt4Layer(packed));
    if (static_cast<int64_t>(x.size()) != batch * packed.shape.in_features) {
      return InvalidField("SHAPE_MISMATCH", "x", std::to_string(x.size()) + " elements",
                          std::to_string(batch * packed.shape.in_features));
    }
    return Int4ReferenceMultiply(layer, x, batch);
  }

  std::vector<std::string> fused_phases() const override { return {"loop", "reduce"}; }

 private:
  const OptionSchema schema_ = MakeInt4Schema();
};

}  // namespace

std::unique_ptr<WeightFormat> MakeInt4Format() { return std::make_unique<Int4Format>(); }

void Register_int4_format(Registry& registry) {
  registry.AddFormat(MakeInt4Format());
  registry.AddFormatBackend(MakeInt4CpuBackend());
}

}  // namespace qtipd
