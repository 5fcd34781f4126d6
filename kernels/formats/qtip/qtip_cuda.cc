// The "cuda" half of format "qtip": what the registry holds.
#include "kernels/api/error.h"
#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "kernels/formats/qtip/qtip_cuda_plain.h"
#include "kernels/formats/qtip/qtip_cuda_quantize.h"
#include "kernels/formats/qtip/qtip_cuda_transform.h"
#include "kernels/formats/qtip/qtip_cuda_weights.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {
namespace {

class QtipCudaBackend final : public FormatBackend {
 public:
  std::string_view format_id() const override { return "qtip"; }
  std::string_view backend_id() const override { return "cuda"; }

  absl::StatusOr<PackedLayer> Quantize(Device& device, const QuantizeProblem& problem,
                                       Progress& progress, QuantizeReport& report) const override {
    QTIPD_ASSIGN_OR_RETURN(const QtipIngredients ingredients, MakeQtipIngredients(problem));
    return QuantizeQtipOnCuda(AsCudaDevice(device), problem, ingredients, progress, report);
  }

  // While it loads, the checkpoint's trellis lies beside its repacked form.
  uint64_t LoadBytes(const PackedLayer& layer) const override {
    // The options of a layer in an artefact go together.
    const QtipCodeSpec spec = QtipSpecOf(layer.options).value();
    return QtipCudaResidentBytes(layer.shape, spec, 1) + 2 * kMaxHadamardSignBytes +
           2 * QtipTrellisWords(layer.shape.out_features, layer.shape.in_features, spec.bits);
  }

  absl::StatusOr<std::unique_ptr<ResidentWeights>> Load(Device& device,
                                                        const PackedLayer& packed) const override {
    QTIPD_ASSIGN_OR_RETURN(const QtipLayer layer, ParseQtipLayer(packed));
    QTIPD_RETURN_IF_ERROR(CheckCode(layer.spec));
    return LoadQtipOnCuda(AsCudaDevice(device), layer);
  }

 private:
  static absl::Status CheckCode(const QtipCodeSpec& spec) {
    if (QtipHasKernelLayout(spec) || HasPlainKernels(spec)) return absl::OkStatus();
    return FieldError(absl::StatusCode::kUnimplemented, "CODE_UNSUPPORTED", "code",
                      QtipSpecText(spec), "16 state bits on this backend");
  }
};

}  // namespace

void Register_qtip_cuda(Registry& registry) {
  registry.AddFormatBackend(std::make_unique<QtipCudaBackend>());
}

}  // namespace qtipd
