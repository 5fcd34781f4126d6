// The "cuda" half of format "int4": what the registry holds.
#include <algorithm>
#include <thread>

#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/formats/int4/int4_cuda_layout.h"
#include "kernels/formats/int4/int4_cuda_warpgroup.h"
#include "kernels/formats/int4/int4_cuda_weights.h"
#include "kernels/formats/int4/int4_layer.h"
#include "kernels/formats/int4/int4_options.h"
#include "kernels/formats/int4/int4_quantize.h"

namespace qtipd {
namespace {

class Int4CudaBackend final : public FormatBackend {
 public:
  std::string_view format_id() const override { return "int4"; }
  std::string_view backend_id() const override { return "cuda"; }

  // By the host's encoder: the bytes are those of the CPU backend, and the device has no part in
  // it.
  absl::StatusOr<PackedLayer> Quantize(Device& /*device*/, const QuantizeProblem& problem,
                                       Progress& progress, QuantizeReport& report) const override {
    ThreadPool pool(std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
    return QuantizeInt4OnCpu(pool, problem, progress, report);
  }

  uint64_t LoadBytes(const PackedLayer& layer) const override {
    const Int4Spec spec = Int4SpecOf(layer.options, layer.shape.in_features);
    const Int4CudaLayout layout(layer.shape, spec);
    return static_cast<uint64_t>(layout.bytes() + Int4ArrangedBytes(layout.units));
  }

  absl::StatusOr<std::unique_ptr<ResidentWeights>> Load(Device& device,
                                                        const PackedLayer& layer) const override {
    QTIPD_ASSIGN_OR_RETURN(const Int4Layer parsed, ParseInt4Layer(layer));
    return LoadInt4OnCuda(AsCudaDevice(device), parsed);
  }
};

}  // namespace

void Register_int4_cuda(Registry& registry) {
  registry.AddFormatBackend(std::make_unique<Int4CudaBackend>());
}

}  // namespace qtipd
