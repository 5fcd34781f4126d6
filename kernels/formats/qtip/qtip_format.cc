// Format "qtip": its options, what it accepts, and its registration.
#include "kernels/formats/qtip/qtip_format.h"

#include <algorithm>
#include <string>
#include <thread>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "kernels/formats/qtip/qtip_checkpoint.h"
#include "kernels/formats/qtip/qtip_cpu.h"
#include "kernels/formats/qtip/qtip_cpu_workspace.h"
#include "kernels/formats/qtip/qtip_layer.h"
#include "kernels/formats/qtip/qtip_model_config.h"
#include "kernels/formats/qtip/qtip_reference.h"
#include "kernels/formats/qtip/qtip_scale_search.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {
namespace {

std::vector<OptionValue> CodeNames() {
  std::vector<OptionValue> names;
  for (const QtipCodeInfo& info : QtipCodes()) names.emplace_back(std::string(info.name));
  return names;
}

OptionSchema MakeSchema() {
  return {
      {.name = "code",
       .help = "trellis code that turns states into weights",
       .default_value = std::string("hyb"),
       .choices = CodeNames()},
      {.name = "bits",
       .help = "stored bits per weight",
       .default_value = int64_t{2},
       .choices = {int64_t{1}, int64_t{2}, int64_t{3}, int64_t{4}}},
      {.name = "state_bits",
       .help = "bits of the trellis state",
       .default_value = int64_t{kQtipStateBits},
       .minimum = kQtipMinStateBits,
       .maximum = kQtipStateBits},
      {.name = "vector_dim",
       .help = "weights per trellis step, 1 or 2 for code lut; 0: what the code has",
       .default_value = int64_t{0},
       .minimum = 0,
       .maximum = 2},
      {.name = "codebook",
       .help = "values of the table of code hyb: any fp16, or int8: -127 to 127 times one number",
       .default_value = std::string(kQtipFp16Codebook),
       .choices = {std::string(kQtipFp16Codebook), std::string(kQtipInt8Codebook)}},
      {.name = "scale_override",
       .help = "rms of the trellis input over rms of the codebook",
       .default_value = kQtipFixedScale,
       .minimum = 0.1,
       .maximum = 2.0,
       .words = {std::string(kQtipAutoScale)}},
      {.name = "sigma_reg",
       .help = "multiple of the Hessian's mean diagonal that is added to its diagonal",
       .default_value = 0.01,
       .minimum = 0.0,
       .maximum = 10.0},
  };
}

// Beside W, H and the trellis, a GPU encoder keeps survivor costs of the tiles in flight (2 MiB
// each at 2 bits, four to a multiprocessor: 1.04 GiB on an H200), panels of 128 columns and 1024
// rows, and while it factors H 12 KiB a row of it.
constexpr uint64_t kDeviceScratchBytes = uint64_t{2} << 30;

// Options that a layer can be imported with; all others describe how it was quantized.
constexpr std::string_view kImportOptions[] = {"code", "codebook", "bits", "state_bits",
                                               "vector_dim"};

absl::Status CheckImportOptions(const std::map<std::string, OptionValue>& given) {
  for (const auto& [name, value] : given) {
    if (std::ranges::find(kImportOptions, name) == std::end(kImportOptions)) {
      return InvalidField("OPTION_INVALID", name, OptionText(value),
                          "code, codebook, bits, state_bits and vector_dim alone when importing");
    }
  }
  return absl::OkStatus();
}

// What the user stated of the code. `options` are `given` with defaults filled in.
QtipCodeChoice ChoiceOf(const std::map<std::string, OptionValue>& given, const Options& options) {
  QtipCodeChoice choice;
  if (given.contains("code")) choice.code = FindQtipCode(options.GetString("code"));
  if (given.contains("state_bits")) {
    choice.state_bits = static_cast<int>(options.GetInt("state_bits"));
  }
  if (given.contains("vector_dim") && options.GetInt("vector_dim") != 0) {
    choice.vector_dim = static_cast<int>(options.GetInt("vector_dim"));
  }
  return choice;
}

// `given` with what was read off the tensors.
std::map<std::string, OptionValue> WithLayer(std::map<std::string, OptionValue> given,
                                             const QtipLayer& layer) {
  const QtipCodeSpec& spec = layer.spec;
  const QtipCodeInfo& info = QtipCodeInfoOf(spec.code);
  given["code"] = std::string(info.name);
  const bool is_int8 = spec.code == QtipCode::kHyb && QtipTableStep(layer.tlut) > 0;
  given.try_emplace("codebook", std::string(is_int8 ? kQtipInt8Codebook : kQtipFp16Codebook));
  given.try_emplace("bits", int64_t{spec.bits});
  given["state_bits"] = int64_t{spec.state_bits};
  given["vector_dim"] = int64_t{spec.vector_dim == info.default_vector_dim ? 0 : spec.vector_dim};
  return given;
}

class QtipFormat final : public WeightFormat {
 public:
  std::string_view id() const override { return "qtip"; }
  std::string_view summary() const override {
    return "QTIP: trellis-coded weights after a randomized Hadamard transform, 1 to 4 bits";
  }
  const OptionSchema& schema() const override { return schema_; }

  absl::Status CheckShape(const Options& options, Shape shape) const override {
    QTIPD_RETURN_IF_ERROR(QtipSpecOf(options).status());
    return CheckQtipShape(shape);
  }

  uint64_t PackedBytes(const Options& options, Shape shape) const override {
    const QtipCodeSpec spec = Spec(options);
    const uint64_t trellis = 2 * static_cast<uint64_t>(QtipTrellisWords(
                                     shape.out_features, shape.in_features, spec.bits));
    const uint64_t signs = 4 * static_cast<uint64_t>(shape.out_features + shape.in_features);
    return trellis + signs + 2 * spec.table_values() + 2 * sizeof(int64_t);
  }

  Workspace QuantizeWorkspace(const Options& options, Shape shape, bool has_hessian,
                              std::string_view backend) const override {
    const uint64_t weights = static_cast<uint64_t>(shape.out_features) * shape.in_features;
    const uint64_t squares =
        has_hessian ? static_cast<uint64_t>(shape.in_features) * shape.in_features : 0;
    const uint64_t packed = PackedBytes(options, shape);
    if (backend != "cpu") {
      return {.host_bytes = packed,
              .device_bytes = sizeof(float) * (weights + squares) + packed + kDeviceScratchBytes};
    }
    const int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    const bool finds_scale = !QtipGivenScale(options);
    return {.host_bytes = packed + QtipCpuWorkspaceBytes(Spec(options), shape, has_hessian,
                                                         finds_scale, threads),
            .device_bytes = 0};
  }

  bool Recognises(const TensorMap& tensors) const override {
    // A layer that lacks a tensor is still one: Import names what is missing.
    return tensors.contains("trellis") || (tensors.contains("SU") && tensors.contains("SV"));
  }

  absl::StatusOr<PackedLayer> Import(
      const TensorMap& tensors, const std::map<std::string, OptionValue>& given) const override {
    QTIPD_ASSIGN_OR_RETURN(const Options stated, CheckOptions(schema_, given));
    QTIPD_RETURN_IF_ERROR(CheckImportOptions(given));
    PackedLayer packed{"qtip", {}, {}, tensors};
    {  // Validate makes another copy of the trellis, which may be large.
      QTIPD_ASSIGN_OR_RETURN(const QtipLayer layer,
                             ParseQtipTensors(tensors, ChoiceOf(given, stated)));
      packed.shape = layer.shape;
      QTIPD_ASSIGN_OR_RETURN(packed.options, CheckOptions(schema_, WithLayer(given, layer)));
    }
    QTIPD_RETURN_IF_ERROR(Validate(packed));
    return packed;
  }

  absl::StatusOr<TensorMap> Export(const PackedLayer& layer) const override {
    return layer.tensors;
  }

  bool RecognisesModel(const std::string& config) const override { return HasQuipParams(config); }

  absl::StatusOr<ModelPlan> PlanModel(const ModelCheckpoint& checkpoint) const override {
    QTIPD_ASSIGN_OR_RETURN(ModelPlan plan, PlanQtipModel(checkpoint));
    for (const ModelLinear& linear : plan.linears) {
      QTIPD_RETURN_IF_ERROR(CheckOptions(schema_, linear.options).status());
    }
    return plan;
  }

  absl::StatusOr<std::string> ModelConfig(
      const std::string& config, const std::map<std::string, PackedLayer>& layers) const override {
    return WriteQtipModelConfig(config, layers);
  }

  absl::Status Validate(const PackedLayer& layer) const override {
    return ParseQtipLayer(layer).status();
  }

  absl::StatusOr<std::vector<float>> ReferenceWeights(const PackedLayer& packed) const override {
    QTIPD_ASSIGN_OR_RETURN(const QtipLayer layer, ParseQtipLayer(packed));
    return QtipReferenceWeights(layer);
  }

  absl::StatusOr<std::vector<double>> ReferenceMultiply(const PackedLayer& packed,
                                                        std::span<const float> x,
                                                        int64_t batch) const override {
    QTIPD_ASSIGN_OR_RETURN(const QtipLayer layer, ParseQtipLayer(packed));
    if (static_cast<int64_t>(x.size()) != batch * layer.shape.in_features) {
      return InvalidField("SHAPE_MISMATCH", "x", std::to_string(x.size()) + " elements",
                          std::to_string(batch * layer.shape.in_features));
    }
    return QtipReferenceMultiply(layer, x, batch);
  }

  std::vector<std::string> fused_phases() const override { return {"codebook", "loop", "reduce"}; }

 private:
  // The engine has checked the options with CheckShape.
  static QtipCodeSpec Spec(const Options& options) { return QtipSpecOf(options).value(); }

  const OptionSchema schema_ = MakeSchema();
};

}  // namespace

std::unique_ptr<WeightFormat> MakeQtipFormat() { return std::make_unique<QtipFormat>(); }

void Register_qtip_format(Registry& registry) {
  registry.AddFormat(MakeQtipFormat());
  registry.AddFormatBackend(MakeQtipCpuBackend());
}

}  // namespace qtipd
