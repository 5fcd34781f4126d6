#include "server/engine/input/matrix_source.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/api/distribution.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/io/hessian_name.h"
#include "server/base/parallel.h"
#include "server/base/sha256.h"

namespace qtipd {
namespace {

// Work between two looks at the progress: elements per block of the parallel loops, rows of a
// Hessian, bytes that are hashed, which come from a disk at worst.
constexpr int64_t kBlock = int64_t{1} << 16;
constexpr int64_t kSquare = 32;
constexpr size_t kHashBytes = size_t{1} << 22;

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

absl::Status CheckNotCancelled(const Progress& progress) {
  return progress.IsCancelled() ? absl::CancelledError("cancelled while reading the input")
                                : absl::OkStatus();
}

// ParallelBlocks, with a look at `progress` before every block. Errors: Cancelled.
absl::Status ForBlocks(const Progress& progress, int64_t count, int64_t block,
                       const std::function<void(int64_t begin, int64_t end)>& body) {
  std::atomic<bool> is_cancelled = false;
  ParallelBlocks(count, block, [&](int64_t begin, int64_t end) {
    if (is_cancelled) return;
    if (progress.IsCancelled()) {
      is_cancelled = true;
    } else {
      body(begin, end);
    }
  });
  return is_cancelled ? CheckNotCancelled(progress) : absl::OkStatus();
}

// Elements first ... of a tensor, which may be unaligned.
void Convert(const HostTensor& tensor, int64_t first, std::span<float> values) {
  const size_t size = DTypeSize(tensor.dtype());
  for (size_t done = 0; done < values.size(); done += kBlock) {
    const size_t count = std::min<size_t>(kBlock, values.size() - done);
    const HostTensor block(
        tensor.dtype(), {static_cast<int64_t>(count)}, nullptr,
        tensor.bytes().subspan((static_cast<size_t>(first) + done) * size, count * size));
    std::ranges::copy(block.ToFloat(), values.begin() + static_cast<std::ptrdiff_t>(done));
  }
}

// The least of what several threads found.
class Least {
 public:
  void Offer(int64_t value) {
    int64_t least = least_;
    while (value < least && !least_.compare_exchange_weak(least, value)) {
    }
  }
  // The largest number where nothing was offered.
  int64_t value() const { return least_; }
  bool has_value() const { return least_ != kNone; }

 private:
  static constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
  std::atomic<int64_t> least_ = kNone;
};

// Notes the first value that is not finite; the first of `values` has index `first`.
void FindNonFinite(std::span<const float> values, int64_t first, Least& bad) {
  const auto found =
      std::ranges::find_if(values, [](float value) { return !std::isfinite(value); });
  if (found != values.end()) bad.Offer(first + (found - values.begin()));
}

// OK, or what is wrong with the element of `tensor` that was found.
absl::Status CheckFinite(const Least& bad, const HostTensor& tensor, const std::string& name) {
  if (!bad.has_value()) return absl::OkStatus();
  const int64_t index = bad.value();
  const std::vector<int64_t>& shape = tensor.shape();
  std::string where = std::to_string(index);
  if (shape.size() == 2) {
    where = std::to_string(index / shape[1]) + ", " + std::to_string(index % shape[1]);
  }
  float value = 0;
  Convert(tensor, index, std::span(&value, 1));
  return InvalidField("NON_FINITE", "tensor " + name,
                      (std::isnan(value) ? "NaN" : "infinity") + std::string(" at [") + where + "]",
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

// Calls body(row, col) for all squares on and below the diagonal of a matrix [n, n], so that a
// square and its mirror lie in cache.
absl::Status ForSquares(const Progress& progress, int64_t n,
                        const std::function<void(int64_t row, int64_t col)>& body) {
  return ForBlocks(progress, n, kSquare, [&](int64_t row, int64_t) {
    for (int64_t col = 0; col <= row; col += kSquare) body(row, col);
  });
}

// Rounding of the program that wrote H is allowed for: 1e-3 of the diagonal's mean.
absl::Status CheckSymmetric(const std::string& name, std::span<const float> h, int64_t n,
                            const Progress& progress) {
  double trace = 0;
  for (int64_t i = 0; i < n; ++i) trace += std::abs(h[i * n + i]);
  const double tolerance = 1e-3 * trace / static_cast<double>(n);
  Least different;
  QTIPD_RETURN_IF_ERROR(ForSquares(progress, n, [&](int64_t row, int64_t col) {
    for (int64_t i = row; i < std::min(row + kSquare, n); ++i) {
      for (int64_t j = col; j < std::min(col + kSquare, i); ++j) {
        if (!(std::abs(h[i * n + j] - h[j * n + i]) <= tolerance)) different.Offer(i * n + j);
      }
    }
  }));
  if (!different.has_value()) return absl::OkStatus();
  const std::string row = std::to_string(different.value() / n);
  const std::string column = std::to_string(different.value() % n);
  return InvalidField(
      "HESSIAN_NOT_SYMMETRIC", "tensor " + name,
      "different values at [" + row + ", " + column + "] and [" + column + ", " + row + "]",
      "a symmetric matrix");
}

// All of a tensor, times `factor`, on all cores.
absl::Status ReadAll(const HostTensor& tensor, const std::string& name, float factor,
                     std::span<float> values, const Progress& progress) {
  Least bad;
  QTIPD_RETURN_IF_ERROR(
      ForBlocks(progress, tensor.element_count(), kBlock, [&](int64_t begin, int64_t end) {
        const auto block =
            values.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
        Convert(tensor, begin, block);
        for (float& value : block) value *= factor;
        FindNonFinite(block, begin, bad);
      }));
  return CheckFinite(bad, tensor, name);
}

// The mean of a flattened Hessian, or nothing.
absl::StatusOr<std::vector<float>> ReadMean(const SourceTensors& tensors, const std::string& name) {
  std::vector<float> mean = tensors.hessian_mean.ToFloat();
  Least bad;
  FindNonFinite(mean, 0, bad);
  QTIPD_RETURN_IF_ERROR(CheckFinite(bad, tensors.hessian_mean, HessianMeanName(name)));
  return mean;
}

// The lower triangle by rows, times the tensors' scale, plus mean mean^T, and its mirror image.
absl::Status ReadTriangle(const SourceTensors& tensors, const std::string& name, std::span<float> h,
                          const Progress& progress) {
  const int64_t n = tensors.shape.in_features;
  const auto factor = static_cast<float>(tensors.hessian_scale);
  QTIPD_ASSIGN_OR_RETURN(const std::vector<float> mean, ReadMean(tensors, name));
  Least bad;
  QTIPD_RETURN_IF_ERROR(ForBlocks(progress, n, kSquare, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i * (i + 1) / 2;
      const auto row = h.subspan(static_cast<size_t>(i * n), static_cast<size_t>(i + 1));
      Convert(tensors.hessian, first, row);
      for (float& value : row) value *= factor;
      FindNonFinite(row, first, bad);
      if (mean.empty()) continue;
      for (int64_t j = 0; j <= i; ++j) row[j] += mean[i] * mean[j];
    }
  }));
  QTIPD_RETURN_IF_ERROR(CheckFinite(bad, tensors.hessian, name));
  return ForSquares(progress, n, [&](int64_t row, int64_t col) {
    for (int64_t i = row; i < std::min(row + kSquare, n); ++i) {
      for (int64_t j = col; j < std::min(col + kSquare, i); ++j) h[j * n + i] = h[i * n + j];
    }
  });
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

absl::StatusOr<FloatArray> ReadWeights(const SourceTensors& tensors, const std::string& tensor_name,
                                       const Progress& progress) {
  FloatArray weights(tensors.weights.element_count());
  QTIPD_RETURN_IF_ERROR(ReadAll(tensors.weights, tensor_name, 1, weights.span(), progress));
  std::atomic<bool> has_weight = false;
  QTIPD_RETURN_IF_ERROR(
      ForBlocks(progress, tensors.weights.element_count(), kBlock, [&](int64_t begin, int64_t end) {
        if (has_weight) return;
        const auto values = weights.span().subspan(begin, end - begin);
        if (std::ranges::any_of(values, [](float value) { return value != 0; })) has_weight = true;
      }));
  if (has_weight) return weights;
  return InvalidField("WEIGHTS_ALL_ZERO", "tensor " + tensor_name, "nothing but zeros",
                      "at least one weight that is not zero");
}

absl::StatusOr<FloatArray> ReadHessian(const SourceTensors& tensors, const std::string& tensor_name,
                                       const Progress& progress) {
  if (!tensors.has_hessian) return FloatArray();
  const int64_t n = tensors.shape.in_features;
  FloatArray hessian(n * n);
  if (tensors.hessian.shape().size() == 2) {
    QTIPD_RETURN_IF_ERROR(ReadAll(tensors.hessian, tensor_name,
                                  static_cast<float>(tensors.hessian_scale), hessian.span(),
                                  progress));
    QTIPD_RETURN_IF_ERROR(CheckSymmetric(tensor_name, hessian.span(), n, progress));
  } else {
    QTIPD_RETURN_IF_ERROR(ReadTriangle(tensors, tensor_name, hessian.span(), progress));
  }
  return hessian;
}

absl::StatusOr<FloatArray> RandomWeights(const RandomSource& source, const Progress& progress) {
  const int64_t count = source.shape.out_features * source.shape.in_features;
  FloatArray weights(count);
  QTIPD_RETURN_IF_ERROR(ForBlocks(progress, count, kBlock, [&](int64_t begin, int64_t end) {
    RandomWeightsAgain(source, begin, weights.span().subspan(begin, end - begin));
  }));
  return weights;
}

void ReadWeightsAgain(const SourceTensors& tensors, int64_t first, std::span<float> values) {
  Convert(tensors.weights, first, values);
}

void RandomWeightsAgain(const RandomSource& source, int64_t first, std::span<float> values) {
  FillWeights(source.distribution, source.seed, source.shape.in_features, first, values);
}

absl::StatusOr<std::string> ContentSha256(const SourceTensors& tensors, const Progress& progress) {
  Sha256 hash;
  for (const HostTensor* tensor : {&tensors.weights, &tensors.hessian, &tensors.hessian_mean}) {
    hash.Update(std::string(DTypeName(tensor->dtype())) + tensor->ShapeText());
    for (size_t done = 0; done < tensor->bytes().size(); done += kHashBytes) {
      QTIPD_RETURN_IF_ERROR(CheckNotCancelled(progress));
      const size_t count = std::min(kHashBytes, tensor->bytes().size() - done);
      hash.Update(tensor->bytes().subspan(done, count));
    }
  }
  if (tensors.hessian_scale != 1) hash.Update("scale " + OptionText(tensors.hessian_scale));
  return hash.Finish();
}

}  // namespace qtipd
