#include "kernels/formats/qtip/qtip_cuda_linear.h"

#include <cmath>

#include "kernels/api/status.h"
#include "kernels/formats/qtip/qtip_cuda_layout.h"
#include "kernels/formats/qtip/qtip_cuda_rotation.h"
#include "kernels/formats/qtip/qtip_cuda_rotation_layout.h"

namespace qtipd {
namespace {

float Normalisation(int64_t size) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(size)));
}

// Elements of one of the 16 transforms.
int64_t FinishElements(const QtipRotation& output) { return output.size / kUnitRows; }

absl::Status LaunchMultiply(const CudaDevice& device, int bits, const FusedConfig& config,
                            const LinearArguments& arguments) {
  switch (bits) {
    case 1:
      return LaunchLinearBits<1>(device, config, arguments);
    case 2:
      return LaunchLinearBits<2>(device, config, arguments);
    case 3:
      return LaunchLinearBits<3>(device, config, arguments);
    default:
      return LaunchLinearBits<4>(device, config, arguments);
  }
}

}  // namespace

LinearConfig ChooseLinearConfig(const LinearProblem& problem, const CudaLimits& limits) {
  LinearConfig config;
  const int order = HadamardOrder(problem.output.size).value();
  const bool has_shards = problem.input.shards > 1 || problem.output.shards > 1;
  const bool has_whole_row_blocks = problem.output.size / order % kUnitRows == 0;
  if (problem.multiply.batch != 1 || has_shards || !has_whole_row_blocks) return config;

  config.multiply = ChooseFusedConfig(problem.multiply, limits);
  config.rotates_input = config.multiply.units_per_warp > 0;
  if (config.rotates_input) {
    const auto in = static_cast<int>(problem.multiply.in_features);
    config.multiply.shared_bytes +=
        PaddedCount(in) * sizeof(float) + static_cast<size_t>(in) * sizeof(uint16_t);
  }
  const int64_t elements = FinishElements(problem.output);
  config.finish_splits = order == 1 ? 1 : 2;
  const int64_t matrix = order == 1 ? 0 : int64_t{order} * order;
  config.finish_shared_bytes =
      sizeof(float) * static_cast<size_t>(PaddedCount(static_cast<int>(elements)) +
                                          (elements + 3) / 4 * 4 + matrix);
  config.is_fused = config.multiply.shared_bytes <= limits.shared_bytes &&
                    config.finish_shared_bytes <= limits.shared_bytes;
  return config;
}

std::string LinearConfig::ToString() const {
  if (!is_fused) return "in steps";
  return std::string("input rotated ") + (rotates_input ? "in the fused kernel" : "by itself") +
         ", shared_bytes " + std::to_string(multiply.shared_bytes) + "; output by blocks " +
         std::to_string(kUnitRows * finish_splits) + ", shared_bytes " +
         std::to_string(finish_shared_bytes);
}

absl::Status LaunchLinear(const CudaDevice& device, const LinearProblem& problem,
                          const LinearConfig& config, const LinearWeights& weights, const void* x,
                          void* u, void* z, void* y) {
  const FusedProblem& multiply = problem.multiply;
  const bool is_bf16 = problem.activations == DType::kBF16;
  LinearArguments arguments = {};
  static_cast<FusedArguments&>(arguments) =
      DescribeFused(multiply, config.multiply, weights.packed, weights.table);
  arguments.u = u;
  arguments.z = static_cast<float*>(z);
  if (config.rotates_input) {
    arguments.x = x;
    arguments.su = static_cast<const float*>(weights.su);
    arguments.factor = Normalisation(multiply.in_features) / kActivationGuard;
    arguments.is_bf16 = is_bf16;
  } else {
    QTIPD_RETURN_IF_ERROR(
        LaunchInputRotation(device, weights.input, 1, x, weights.su, u, problem.activations));
  }
  QTIPD_RETURN_IF_ERROR(LaunchMultiply(device, multiply.bits, config.multiply, arguments));
  const int order = weights.output.order;
  return LaunchFinish(device, config,
                      {.z = static_cast<const float*>(z),
                       .scale = static_cast<const float*>(weights.sv),
                       .y = y,
                       .signs = weights.output.signs.as<uint16_t>(),
                       .order = order,
                       .points = static_cast<int>(FinishElements(problem.output) / order),
                       .factor = Normalisation(problem.output.size) * kActivationGuard,
                       .is_bf16 = is_bf16});
}

}  // namespace qtipd
