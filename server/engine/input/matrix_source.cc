#include "server/engine/input/matrix_source.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/random.h"
#include "kernels/api/status.h"
#include "kernels/io/hessian_name.h"
#include "server/base/parallel.h"
#include "server/base/sha256.h"

namespace qtipd {
namespace {

// Elements per block of the parallel loops.
constexpr int64_t kBlock = int64_t{1} << 16;

bool IsFloat(DType dtype) {
  return dtype == DType::kF16 || dtype == DType::kBF16 || dtype == DType::kF32;
}

absl::Status CheckDType(const std::string& name, const HostTensor& tensor, bool allow_double) {
  if (IsFloat(tensor.dtype()) || (allow_double && tensor.dtype() == DType::kF64)) {
    return absl::OkStatus();
  }
  return InvalidField("TENSOR_DTYPE_UNSUPPORTED", "dtype of tensor " + name,
                      DTypeName(tensor.dtype()),
                      allow_double ? "F16, BF16, F32, F64" : "F16, BF16, F32");
}

// Conversion by block on all cores; elements may be unaligned.
std::vector<float> ToFloatParallel(const HostTensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.element_count()));
  const size_t size = DTypeSize(tensor.dtype());
  ParallelBlocks(tensor.element_count(), kBlock, [&](int64_t begin, int64_t end) {
    const auto first = static_cast<size_t>(begin);
    const auto count = static_cast<size_t>(end - begin);
    const HostTensor block(tensor.dtype(), {end - begin}, nullptr,
                           tensor.bytes().subspan(first * size, count * size));
    const std::vector<float> converted = block.ToFloat();
    std::copy(converted.begin(), converted.end(), values.begin() + begin);
  });
  return values;
}

absl::Status CheckFinite(std::span<const float> values, const std::string& name,
                         const std::vector<int64_t>& shape) {
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  if (bad == values.end()) return absl::OkStatus();
  const int64_t index = bad - values.begin();
  std::string where = std::to_string(index);
  if (shape.size() == 2) {
    where = std::to_string(index / shape[1]) + ", " + std::to_string(index % shape[1]);
  }
  return InvalidField("NON_FINITE", "tensor " + name,
                      (std::isnan(*bad) ? "NaN" : "infinity") + std::string(" at [") + where + "]",
                      "finite numbers");
}

absl::Status CheckHessianShape(const std::string& name, const HostTensor& hessian, int64_t n) {
  const std::vector<int64_t>& shape = hessian.shape();
  const bool is_full = shape == std::vector<int64_t>{n, n};
  // Unsigned: of a side whose square overflows, the caller hears that W is too large.
  const auto side = static_cast<uint64_t>(n);
  const auto triangle = static_cast<int64_t>(side * (side + 1) / 2);
  const bool is_triangle = shape == std::vector<int64_t>{triangle};
  if (is_full || is_triangle) return absl::OkStatus();
  const std::string size = std::to_string(n);
  return InvalidField("HESSIAN_SHAPE", "shape of tensor " + name, hessian.ShapeText(),
                      "[" + size + ", " + size + "] or [" + std::to_string(triangle) +
                          "], as W has " + size + " input features");
}

absl::Status AddHessian(InputFiles& files, const TensorSource& source, const TensorMap& beside_w,
                        SourceTensors& result) {
  TensorMap tensors = beside_w;
  const FileSource& file = source.hessian_file;
  if (!file.upload_id.empty() || !file.server_path.empty()) {
    QTIPD_ASSIGN_OR_RETURN(SafetensorsFile opened, files.Open(file, "the Hessian's file"));
    tensors = std::move(opened.tensors);
  }
  const std::string& name = source.hessian_tensor;
  QTIPD_ASSIGN_OR_RETURN(result.hessian, FindTensor(tensors, name, "the Hessian's file"));
  QTIPD_RETURN_IF_ERROR(CheckDType(name, result.hessian, true));
  QTIPD_RETURN_IF_ERROR(CheckHessianShape(name, result.hessian, result.shape.in_features));
  result.has_hessian = true;
  const auto mean = tensors.find(HessianMeanName(name));
  if (result.hessian.shape().size() == 1 && mean != tensors.end()) {
    QTIPD_RETURN_IF_ERROR(CheckDType(mean->first, mean->second, true));
    if (mean->second.shape() != std::vector<int64_t>{result.shape.in_features}) {
      return InvalidField("HESSIAN_SHAPE", "shape of tensor " + mean->first,
                          mean->second.ShapeText(),
                          "[" + std::to_string(result.shape.in_features) + "]");
    }
    result.hessian_mean = mean->second;
  }
  return absl::OkStatus();
}

absl::Status AddCalibrated(HessianStore& hessians, const std::string& name, SourceTensors& result) {
  QTIPD_ASSIGN_OR_RETURN(HessianStore::Stored stored, hessians.Open(name));
  const int64_t n = result.shape.in_features;
  if (stored.record.in_features != n) {
    return InvalidField("HESSIAN_SHAPE", "hessian " + name,
                        std::to_string(stored.record.in_features) + " input features",
                        std::to_string(n) + ", those of W");
  }
  result.hessian = std::move(stored.sum);
  result.hessian_scale = 1 / static_cast<double>(stored.record.tokens);
  result.has_hessian = true;
  return absl::OkStatus();
}

std::vector<float> Unflatten(std::span<const float> triangle, int64_t n) {
  std::vector<float> full(static_cast<size_t>(n * n));
  for (int64_t i = 0; i < n; ++i) {
    const float* row = triangle.data() + i * (i + 1) / 2;
    for (int64_t j = 0; j <= i; ++j) full[i * n + j] = full[j * n + i] = row[j];
  }
  return full;
}

// Rounding of the program that wrote H is allowed for: 1e-3 of the diagonal's mean.
absl::Status CheckSymmetric(const std::string& name, std::span<const float> h, int64_t n) {
  double trace = 0;
  for (int64_t i = 0; i < n; ++i) trace += std::abs(h[i * n + i]);
  const double tolerance = 1e-3 * trace / static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      if (std::abs(h[i * n + j] - h[j * n + i]) <= tolerance) continue;
      const std::string row = std::to_string(i);
      const std::string column = std::to_string(j);
      return InvalidField(
          "HESSIAN_NOT_SYMMETRIC", "tensor " + name,
          "different values at [" + row + ", " + column + "] and [" + column + ", " + row + "]",
          "a symmetric matrix");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SourceTensors> OpenSource(InputFiles& files, HessianStore& hessians,
                                         const TensorSource& source) {
  QTIPD_ASSIGN_OR_RETURN(const SafetensorsFile file, files.Open(source.file, source.display_name));
  SourceTensors result;
  const std::string shown = source.display_name.empty() ? "the file" : source.display_name;
  QTIPD_ASSIGN_OR_RETURN(result.weights, FindTensor(file.tensors, source.tensor, shown));
  QTIPD_RETURN_IF_ERROR(CheckDType(source.tensor, result.weights, false));
  const std::vector<int64_t>& shape = result.weights.shape();
  if (shape.size() != 2 || shape[0] < 1 || shape[1] < 1) {
    return InvalidField("TENSOR_SHAPE_UNSUPPORTED", "shape of tensor " + source.tensor,
                        result.weights.ShapeText(), "[out_features, in_features]");
  }
  result.shape = {shape[0], shape[1]};
  if (!source.hessian_tensor.empty()) {
    QTIPD_RETURN_IF_ERROR(AddHessian(files, source, file.tensors, result));
  }
  if (!source.hessian_name.empty()) {
    QTIPD_RETURN_IF_ERROR(AddCalibrated(hessians, source.hessian_name, result));
  }
  return result;
}

absl::StatusOr<std::vector<float>> ReadWeights(const SourceTensors& tensors,
                                               const std::string& tensor_name) {
  std::vector<float> weights = ToFloatParallel(tensors.weights);
  QTIPD_RETURN_IF_ERROR(CheckFinite(weights, tensor_name, tensors.weights.shape()));
  if (std::all_of(weights.begin(), weights.end(), [](float value) { return value == 0; })) {
    return InvalidField("WEIGHTS_ALL_ZERO", "tensor " + tensor_name, "nothing but zeros",
                        "at least one weight that is not zero");
  }
  return weights;
}

absl::StatusOr<std::vector<float>> ReadHessian(const SourceTensors& tensors,
                                               const std::string& tensor_name) {
  if (!tensors.has_hessian) return std::vector<float>();
  const int64_t n = tensors.shape.in_features;
  std::vector<float> hessian = ToFloatParallel(tensors.hessian);
  for (float& value : hessian) value *= static_cast<float>(tensors.hessian_scale);
  QTIPD_RETURN_IF_ERROR(CheckFinite(hessian, tensor_name, tensors.hessian.shape()));
  if (tensors.hessian.shape().size() == 2) {
    QTIPD_RETURN_IF_ERROR(CheckSymmetric(tensor_name, hessian, n));
    return hessian;
  }
  hessian = Unflatten(hessian, n);
  const std::vector<float> mean = tensors.hessian_mean.ToFloat();
  if (mean.empty()) return hessian;
  QTIPD_RETURN_IF_ERROR(CheckFinite(mean, HessianMeanName(tensor_name), {n}));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) hessian[i * n + j] += mean[i] * mean[j];
  }
  return hessian;
}

std::vector<float> RandomWeights(const RandomSource& source) {
  const int64_t count = source.shape.out_features * source.shape.in_features;
  std::vector<float> weights(static_cast<size_t>(count));
  ParallelBlocks(count, kBlock, [&](int64_t begin, int64_t end) {
    FillNormal(
        source.seed, RandomStream::kWeights, static_cast<uint64_t>(begin),
        std::span(weights).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
  });
  return weights;
}

std::string ContentSha256(const SourceTensors& tensors) {
  Sha256 hash;
  for (const HostTensor* tensor : {&tensors.weights, &tensors.hessian, &tensors.hessian_mean}) {
    hash.Update(std::string(DTypeName(tensor->dtype())) + tensor->ShapeText());
    hash.Update(tensor->bytes());
  }
  if (tensors.hessian_scale != 1) hash.Update("scale " + OptionText(tensors.hessian_scale));
  return hash.Finish();
}

}  // namespace qtipd
