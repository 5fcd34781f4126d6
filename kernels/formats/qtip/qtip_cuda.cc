// The "cuda" half of format "qtip": what the registry holds.
#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "kernels/formats/qtip/qtip_cuda_quantize.h"
#include "kernels/formats/qtip/qtip_cuda_weights.h"
#include "kernels/formats/qtip/qtip_default_codebook.h"

namespace qtipd {
namespace {

class QtipCudaBackend final : public FormatBackend {
 public:
  std::string_view format_id() const override { return "qtip"; }
  std::string_view backend_id() const override { return "cuda"; }

  absl::StatusOr<PackedLayer> Quantize(Device& device, const QuantizeProblem& problem,
                                       Progress& progress, QuantizeReport& report) const override {
    return QuantizeQtipOnCuda(
        AsCudaDevice(device), problem,
        {.tlut = QtipDefaultTlut(), .signs = MakeQtipSigns(problem.shape, problem.seed)}, progress,
        report);
  }

  // While it loads, the checkpoint's trellis lies beside its repacked form.
  uint64_t LoadBytes(const PackedLayer& layer) const override {
    const auto bits = static_cast<int>(layer.options.GetInt("bits"));
    return QtipCudaResidentBytes(layer.shape, bits, 1) +
           2 * QtipTrellisWords(layer.shape.out_features, layer.shape.in_features, bits);
  }

  absl::StatusOr<std::unique_ptr<ResidentWeights>> Load(Device& device,
                                                        const PackedLayer& packed) const override {
    QTIPD_ASSIGN_OR_RETURN(const QtipLayer layer, ParseQtipLayer(packed));
    return LoadQtipOnCuda(AsCudaDevice(device), layer);
  }
};

}  // namespace

void Register_qtip_cuda(Registry& registry) {
  registry.AddFormatBackend(std::make_unique<QtipCudaBackend>());
}

}  // namespace qtipd
