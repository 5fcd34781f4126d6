#include "server/engine/jobs/memory_check.h"

#include <algorithm>

#include "kernels/api/error.h"
#include "kernels/io/host_facts.h"

namespace qtipd {
namespace {

uint64_t MatrixBytes(int64_t rows, int64_t columns) {
  return sizeof(float) * static_cast<uint64_t>(rows) * static_cast<uint64_t>(columns);
}

std::string ShapeText(Shape shape) {
  return std::to_string(shape.out_features) + "x" + std::to_string(shape.in_features);
}

}  // namespace

QuantizeMemory EstimateQuantize(const WeightFormat& format, const Options& options, Shape shape,
                                bool has_hessian, const DeviceInfo& device) {
  const uint64_t w = MatrixBytes(shape.out_features, shape.in_features);
  const uint64_t h = has_hessian ? MatrixBytes(shape.in_features, shape.in_features) : 0;
  const WeightFormat::Workspace workspace =
      format.QuantizeWorkspace(options, shape, has_hessian, device.backend);
  // Afterwards W and H are given back, and the artefact is loaded and decoded to fp32, to measure
  // its errors.
  const uint64_t packed = format.PackedBytes(options, shape);
  const uint64_t quality = w + packed;
  if (device.is_synchronous) {
    return {std::max(w + h + workspace.host_bytes + workspace.device_bytes, quality + packed), 0};
  }
  return {w + h + workspace.host_bytes, std::max(workspace.device_bytes, quality)};
}

absl::Status CheckFits(Shape shape, const std::string& where, uint64_t needed_bytes,
                       uint64_t available_bytes) {
  if (needed_bytes <= available_bytes) return absl::OkStatus();
  const std::string needed = std::to_string(needed_bytes);
  const std::string available = std::to_string(available_bytes);
  return MakeError(absl::StatusCode::kResourceExhausted, "MATRIX_TOO_LARGE",
                   "shape: got " + ShapeText(shape) + " which needs " + needed + " bytes on " +
                       where + ", allowed what fits into the " + available + " bytes available",
                   {{"field", "shape"},
                    {"got", ShapeText(shape)},
                    {"where", where},
                    {"needed_bytes", needed},
                    {"available_bytes", available}});
}

absl::Status CheckAddressable(Shape shape) {
  if (shape.out_features < 1 || shape.in_features < 1) {
    return InvalidField("SHAPE_UNSUPPORTED", "shape", ShapeText(shape),
                        "out_features x in_features, both at least 1");
  }
  constexpr double kMost = 0x1p60;  // elements
  const double elements =
      static_cast<double>(shape.out_features) * static_cast<double>(shape.in_features);
  const double square =
      static_cast<double>(shape.in_features) * static_cast<double>(shape.in_features);
  if (std::max(elements, square) < kMost) return absl::OkStatus();
  return CheckFits(shape, "host", uint64_t{1} << 62, ReadHostMemory().available_bytes);
}

}  // namespace qtipd
