#include "server/engine/harness/correctness.h"

#include <cmath>
#include <limits>
#include <utility>

#include "kernels/api/random.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

// BF16 has 8 significant bits: rounding to it changes a number by at most that share.
constexpr double kBfloat16Rounding = 0x1p-8;

// The values as elements of a float type, and `values` rounded likewise.
std::vector<std::byte> RoundTo(DType dtype, std::vector<float>& values) {
  std::vector<std::byte> bytes = EncodeFloats(values, dtype);
  ConvertFloats(values.data(), DType::kF32, bytes.data(), dtype,
                static_cast<int64_t>(values.size()));
  return bytes;
}

}  // namespace

absl::StatusOr<ReferenceCase> MakeReferenceCase(const WeightFormat& format,
                                                const PackedLayer& layer, DType activations,
                                                uint64_t seed, int64_t batch) {
  ReferenceCase reference;
  reference.batch = batch;
  reference.activations = activations;
  std::vector<float> x(static_cast<size_t>(batch * layer.shape.in_features));
  FillNormal(seed, RandomStream::kActivations, 0, x);
  reference.x = RoundTo(activations, x);
  QTIPD_ASSIGN_OR_RETURN(reference.y, format.ReferenceMultiply(layer, x, batch));
  return reference;
}

double RelativeError(std::span<const std::byte> y, DType dtype, std::span<const double> reference) {
  double error = 0;
  double norm = 0;
  std::vector<float> values(y.size() / DTypeSize(dtype));
  ConvertFloats(values.data(), DType::kF32, y.data(), dtype, static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    const double difference = values[i] - reference[i];
    error += difference * difference;
    norm += reference[i] * reference[i];
  }
  if (!std::isfinite(error)) return std::numeric_limits<double>::infinity();
  if (norm == 0) return error == 0 ? 0 : std::numeric_limits<double>::infinity();
  return std::sqrt(error / norm);
}

double RelativeErrorBound(DType output, DType compute) {
  const double bound = compute == DType::kF32 ? 1e-5 : 1e-3;
  return output == DType::kBF16 ? bound + kBfloat16Rounding : bound;
}

}  // namespace qtipd
