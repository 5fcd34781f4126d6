// Format "lut": its options, what it accepts, and its registration.
#include "kernels/formats/lut/lut_format.h"

#include <algorithm>
#include <string>
#include <thread>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/formats/lut/lut_cpu.h"
#include "kernels/formats/lut/lut_layer.h"
#include "kernels/formats/lut/lut_quantize.h"
#include "kernels/formats/lut/lut_reference.h"

namespace qtipd {
namespace {

OptionSchema MakeSchema() {
  return {
      {.name = "bits",
       .help = "bits of an index into the codebook",
       .default_value = int64_t{4},
       .choices = {int64_t{1}, int64_t{2}, int64_t{3}, int64_t{4}, int64_t{8}}},
      {.name = "codebook",
       .help = "entries found by weighted k-means, or with equal steps",
       .default_value = std::string(kLutKmeans),
       .choices = {std::string(kLutKmeans), std::string(kLutUniform)}},
      {.name = "codebook_per",
       .help = "one codebook for the tensor, or one for each output channel",
       .default_value = std::string(kLutTensor),
       .choices = {std::string(kLutTensor), std::string(kLutChannel)}},
      {.name = "block_size",
       .help = "weights along in_features that share a scale, 0: no scales",
       .default_value = int64_t{64},
       .choices = {int64_t{0}, int64_t{32}, int64_t{64}, int64_t{128}}},
      {.name = "scale",
       .help = "scale that a block starts from: its largest magnitude, or its root mean square",
       .default_value = std::string(kLutAbsmax),
       .choices = {std::string(kLutAbsmax), std::string(kLutRms)}},
      {.name = "scale_dtype",
       .help = "type that scales are stored in",
       .default_value = std::string("fp16"),
       .choices = {std::string("fp16"), std::string("bf16")}},
      {.name = "refine_rounds",
       .help = "times that scales and codebook are fitted to each other, 0: scales stay as they "
               "start",
       .default_value = int64_t{2},
       .minimum = 0,
       .maximum = 20},
      {.name = "sigma_reg",
       .help = "multiple of the Hessian's mean diagonal that is added to its diagonal",
       .default_value = 0.01,
       .minimum = 0.0,
       .maximum = 10.0},
  };
}

// Options that describe how a layer was quantized and that no tensor keeps.
constexpr std::string_view kQuantizeOptions[] = {"refine_rounds", "sigma_reg"};

absl::Status CheckImportOptions(const std::map<std::string, OptionValue>& given) {
  for (const std::string_view name : kQuantizeOptions) {
    const auto it = given.find(std::string(name));
    if (it == given.end()) continue;
    return InvalidField(
        "OPTION_INVALID", name, OptionText(it->second),
        "bits, codebook, codebook_per, block_size, scale and scale_dtype alone when importing");
  }
  return absl::OkStatus();
}

// `given` with what was read off the tensors.
std::map<std::string, OptionValue> WithLayer(std::map<std::string, OptionValue> given,
                                             const LutLayer& layer) {
  given["bits"] = int64_t{layer.spec.bits};
  given["block_size"] = layer.spec.block;
  given["codebook_per"] = std::string(layer.spec.is_per_channel ? kLutChannel : kLutTensor);
  if (layer.spec.block > 0) {
    given["scale_dtype"] = std::string(layer.spec.scale_dtype == DType::kBF16 ? "bf16" : "fp16");
  }
  // Two entries always have equal steps.
  const bool is_uniform = layer.spec.bits > 1 && IsLutUniform(layer);
  given.try_emplace("codebook", std::string(is_uniform ? kLutUniform : kLutKmeans));
  return given;
}

class LutFormat final : public WeightFormat {
 public:
  std::string_view id() const override { return "lut"; }
  std::string_view summary() const override {
    return "codebooks by weighted k-means and block scales, 1 to 8 bits";
  }
  const OptionSchema& schema() const override { return schema_; }

  absl::Status CheckShape(const Options& options, Shape shape) const override {
    return CheckLutShape(LutSpecOf(options), shape);
  }

  uint64_t PackedBytes(const Options& options, Shape shape) const override {
    return LutPackedBytes(LutSpecOf(options), shape);
  }

  Workspace QuantizeWorkspace(const Options& options, Shape shape, bool has_hessian,
                              std::string_view /*backend*/) const override {
    const int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    const LutSpec spec = LutSpecOf(options);
    return {.host_bytes = LutPackedBytes(spec, shape) +
                          LutCpuWorkspaceBytes(spec, shape, has_hessian, threads),
            .device_bytes = 0};
  }

  bool Recognises(const TensorMap& tensors) const override {
    // A layer that lacks a tensor is still one: Import names what is missing.
    return tensors.contains("indices") ||
           (tensors.contains("codebook") &&
            (tensors.contains("scales") || tensors.contains("shape")));
  }

  absl::StatusOr<PackedLayer> Import(
      const TensorMap& tensors, const std::map<std::string, OptionValue>& given) const override {
    QTIPD_ASSIGN_OR_RETURN(const Options stated, CheckOptions(schema_, given));
    QTIPD_RETURN_IF_ERROR(CheckImportOptions(given));
    QTIPD_ASSIGN_OR_RETURN(const LutLayer layer, ParseLutTensors(tensors));
    QTIPD_RETURN_IF_ERROR(CheckLutOptions(layer, stated, given));
    PackedLayer packed{"lut", {}, layer.shape, tensors};
    QTIPD_ASSIGN_OR_RETURN(packed.options, CheckOptions(schema_, WithLayer(given, layer)));
    return packed;
  }

  absl::StatusOr<TensorMap> Export(const PackedLayer& layer) const override {
    return layer.tensors;
  }

  absl::Status Validate(const PackedLayer& layer) const override {
    return ParseLutLayer(layer).status();
  }

  absl::StatusOr<std::vector<float>> ReferenceWeights(const PackedLayer& packed) const override {
    QTIPD_ASSIGN_OR_RETURN(const LutLayer layer, ParseLutLayer(packed));
    return LutReferenceWeights(layer);
  }

  absl::StatusOr<std::vector<double>> ReferenceMultiply(const PackedLayer& packed,
                                                        std::span<const float> x,
                                                        int64_t batch) const override {
    QTIPD_ASSIGN_OR_RETURN(const LutLayer layer, ParseLutLayer(packed));
    if (static_cast<int64_t>(x.size()) != batch * layer.shape.in_features) {
      return InvalidField("SHAPE_MISMATCH", "x", std::to_string(x.size()) + " elements",
                          std::to_string(batch * layer.shape.in_features));
    }
    return LutReferenceMultiply(layer, x, batch);
  }

  std::vector<std::string> fused_phases() const override { return {"codebook", "loop", "reduce"}; }

 private:
  const OptionSchema schema_ = MakeSchema();
};

}  // namespace

std::unique_ptr<WeightFormat> MakeLutFormat() { return std::make_unique<LutFormat>(); }

void Register_lut_format(Registry& registry) {
  registry.AddFormat(MakeLutFormat());
  registry.AddFormatBackend(MakeLutCpuBackend());
}

}  // namespace qtipd
