#include "server/engine/harness/correctness.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "kernels/api/random.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

// The values as `dtype` (F16 or F32) elements, and `values` rounded likewise.
std::vector<std::byte> RoundTo(DType dtype, std::vector<float>& values) {
  std::vector<std::byte> bytes = EncodeFloats(values, dtype);
  if (dtype == DType::kF16) {
    for (float& value : values) value = HalfToFloat(FloatToHalf(value));
  }
  return bytes;
}

double Element(std::span<const std::byte> bytes, DType dtype, size_t index) {
  if (dtype == DType::kF32) {
    float value;
    std::memcpy(&value, bytes.data() + index * sizeof(value), sizeof(value));
    return value;
  }
  uint16_t half;
  std::memcpy(&half, bytes.data() + index * sizeof(half), sizeof(half));
  return HalfToFloat(half);
}

}  // namespace

absl::StatusOr<ReferenceCase> MakeReferenceCase(const WeightFormat& format,
                                                const PackedLayer& layer, DType compute_dtype,
                                                uint64_t seed, int64_t batch) {
  ReferenceCase reference;
  reference.batch = batch;
  std::vector<float> x(static_cast<size_t>(batch * layer.shape.in_features));
  FillNormal(seed, RandomStream::kActivations, 0, x);
  reference.x = RoundTo(compute_dtype, x);
  QTIPD_ASSIGN_OR_RETURN(reference.y, format.ReferenceMultiply(layer, x, batch));
  return reference;
}

double RelativeError(std::span<const std::byte> y, DType dtype, std::span<const double> reference) {
  double error = 0;
  double norm = 0;
  const size_t count = y.size() / DTypeSize(dtype);
  for (size_t i = 0; i < count; ++i) {
    const double difference = Element(y, dtype, i) - reference[i];
    error += difference * difference;
    norm += reference[i] * reference[i];
  }
  if (!std::isfinite(error)) return std::numeric_limits<double>::infinity();
  if (norm == 0) return error == 0 ? 0 : std::numeric_limits<double>::infinity();
  return std::sqrt(error / norm);
}

double RelativeErrorBound(DType dtype) { return dtype == DType::kF32 ? 1e-5 : 1e-3; }

}  // namespace qtipd
