// Path `fused_a16`: as `fused`, with activations rounded to 16-bit fixed point, one unit for each
// vector, and tables of weights where the format rounds those too. Its results differ from
// those of `fused` by up to kRoundedError, so it runs only where it is asked for by name.
// Steps and bytes are those of `fused`.
#include "kernels/api/error.h"
#include "kernels/api/inference_path.h"
#include "kernels/api/registry.h"
#include "kernels/api/status.h"
#include "kernels/paths/cast_activations.h"
#include "kernels/paths/inner_multiply.h"
#include "kernels/paths/prepared_linear.h"

namespace qtipd {
namespace {

// Relative L2 error of the bare kernel, of Gaussian activations and any table.
constexpr double kRoundedError = 1e-4;

class RoundedMultiply final : public InnerMultiply {
 public:
  using InnerMultiply::InnerMultiply;
  std::vector<std::string> steps() const override { return {"fused_decode"}; }
  absl::Status Run(ResidentWeights& weights, int copy, int, const void* u, void* z) override {
    return weights.MultiplyRounded(copy, batch(), u, z);
  }
  OperationCounts operations(const ResidentWeights&) const override {
    return {};  // those of the kernel are of other kinds
  }
  std::map<std::string, std::string> notes(const ResidentWeights&) const override {
    return {{"activations", "rounded to 16 bits, a unit for each vector"}};
  }
};

class FusedA16Path final : public InferencePath {
 public:
  std::string_view id() const override { return "fused_a16"; }
  std::string_view summary() const override {
    return "fused, activations rounded to 16 bits: up to 1e-4 of error by design";
  }
  double designed_error() const override { return kRoundedError; }
  uint64_t WeightBytesPerCopy(const ResidentWeights& weights, const Device&) const override {
    return weights.multiply_bytes();
  }
  absl::StatusOr<std::unique_ptr<PreparedPath>> Prepare(Device& device, ResidentWeights& weights,
                                                        const PathProblem& problem) const override {
    const int64_t batch = problem.batch;
    const int64_t most = weights.max_rounded_batch();
    if (batch < 1 || batch > most) {
      return FieldError(absl::StatusCode::kUnimplemented, "BATCH_UNSUPPORTED",
                        "batch of path fused_a16", std::to_string(batch),
                        most == 0 ? "none of this format on " + device.info().backend
                                  : "1 to " + std::to_string(most));
    }
    const DType dtype = KernelActivations(weights, problem.activations);
    QTIPD_ASSIGN_OR_RETURN(auto replica, weights.Replicate(problem.copies, dtype));
    QTIPD_ASSIGN_OR_RETURN(auto path,
                           PreparedLinear::Create(device, std::move(replica),
                                                  std::make_unique<RoundedMultiply>(batch)));
    return CastActivations(device, std::move(path), dtype, weights.shape(), problem);
  }
};

}  // namespace

void Register_fused_a16_path(Registry& registry) {
  registry.AddPath(std::make_unique<FusedA16Path>());
}

}  // namespace qtipd
