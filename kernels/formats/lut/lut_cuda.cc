// The "cuda" half of format "lut": what the registry holds.
#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/formats/lut/lut_cuda_weights.h"
#include "kernels/formats/lut/lut_quantize.h"
#include "kernels/io/host_facts.h"

namespace qtipd {
namespace {

class LutCudaBackend final : public FormatBackend {
 public:
  std::string_view format_id() const override { return "lut"; }
  std::string_view backend_id() const override { return "cuda"; }

  // The host quantizes, with all its threads: fitting scales is seconds of work once a layer, and
  // so both backends make the same bytes.
  absl::StatusOr<PackedLayer> Quantize(Device&, const QuantizeProblem& problem, Progress& progress,
                                       QuantizeReport& report) const override {
    ThreadPool pool(ReadHostFacts().usable_threads);
    return QuantizeLutOnCpu(pool, problem, progress, report);
  }

  // While it loads, the tensors lie beside their repacked form.
  uint64_t LoadBytes(const PackedLayer& layer) const override {
    const LutSpec spec = LutSpecOf(layer.options);
    return LutCudaResidentBytes(LutCudaLayoutOf(spec, layer.shape), 1) +
           LutPackedBytes(spec, layer.shape);
  }

  absl::StatusOr<std::unique_ptr<ResidentWeights>> Load(Device& device,
                                                        const PackedLayer& packed) const override {
    QTIPD_ASSIGN_OR_RETURN(const LutLayer layer, ParseLutLayer(packed));
    return LoadLutOnCuda(AsCudaDevice(device), layer);
  }
};

}  // namespace

void Register_lut_cuda(Registry& registry) {
  registry.AddFormatBackend(std::make_unique<LutCudaBackend>());
}

}  // namespace qtipd
