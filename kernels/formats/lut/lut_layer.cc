#include "kernels/formats/lut/lut_layer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

constexpr std::string_view kNames[] = {"indices", "codebook", "scales", "shape"};

absl::Status CheckNames(const TensorMap& tensors) {
  for (const auto& [name, tensor] : tensors) {
    if (std::ranges::find(kNames, name) != std::end(kNames)) continue;
    return InvalidField("TENSOR_UNKNOWN", name, "a tensor beside those of a layer",
                        "indices, codebook, scales, shape");
  }
  return absl::OkStatus();
}

// The tensor `name` if it has one of the dtypes and as many elements as its shape says.
absl::StatusOr<const HostTensor*> Find(const TensorMap& tensors, const std::string& name,
                                       std::span<const DType> dtypes) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) {
    std::string present;
    for (const auto& [other, tensor] : tensors)
      absl::StrAppend(&present, present.empty() ? "" : ", ", other);
    return InvalidField("TENSOR_MISSING", name, present.empty() ? "no tensors" : "only " + present,
                        "a layer with indices, codebook, shape, and scales where blocks have them");
  }
  const HostTensor& tensor = found->second;
  if (std::ranges::find(dtypes, tensor.dtype()) == dtypes.end()) {
    std::string allowed;
    for (const DType dtype : dtypes) {
      absl::StrAppend(&allowed, allowed.empty() ? "" : ", ", std::string(DTypeName(dtype)));
    }
    return InvalidField("TENSOR_DTYPE_UNSUPPORTED", name, DTypeName(tensor.dtype()), allowed);
  }
  // A factor at a time, so that no product overflows.
  int64_t left = tensor.element_count();
  for (const int64_t extent : tensor.shape()) {
    if (extent < 1 || left % extent != 0) left = 0;
    left = left == 0 ? 0 : left / extent;
  }
  if (left == 1) return &tensor;
  return InvalidField(
      "TENSOR_SHAPE_INVALID", name,
      absl::StrCat(tensor.ShapeText(), " over ", tensor.element_count(), " elements"),
      "at least one element, and as many as the shape says");
}

absl::Status WrongShape(const std::string& name, const HostTensor& tensor,
                        const std::string& allowed) {
  return InvalidField("TENSOR_SHAPE_INVALID", name, tensor.ShapeText(), allowed);
}

absl::StatusOr<Shape> ReadShape(const TensorMap& tensors) {
  constexpr DType kDtypes[] = {DType::kI64};
  QTIPD_ASSIGN_OR_RETURN(const HostTensor* tensor, Find(tensors, "shape", kDtypes));
  if (tensor->shape() != std::vector<int64_t>{2}) return WrongShape("shape", *tensor, "[2]");
  int64_t values[2];
  std::memcpy(values, tensor->bytes().data(), sizeof values);
  // Products of both stay far below 2^63.
  constexpr int64_t kMost = int64_t{1} << 28;
  for (const int64_t value : values) {
    if (value >= 1 && value <= kMost) continue;
    return InvalidField("TENSOR_VALUE_INVALID", "shape", absl::StrCat(values[0], ", ", values[1]),
                        absl::StrCat("out_features, in_features, each 1 to ", kMost));
  }
  return Shape{values[0], values[1]};
}

absl::Status CheckFinite(const std::string& name, std::span<const float> values) {
  const auto bad = std::ranges::find_if(values, [](float value) { return !std::isfinite(value); });
  if (bad == values.end()) return absl::OkStatus();
  return InvalidField("TENSOR_NOT_FINITE", name,
                      absl::StrCat(*bad, " at element ", bad - values.begin()), "finite values");
}

absl::Status ReadCodebook(const TensorMap& tensors, LutLayer& layer) {
  constexpr DType kDtypes[] = {DType::kF16};
  QTIPD_ASSIGN_OR_RETURN(const HostTensor* tensor, Find(tensors, "codebook", kDtypes));
  const std::vector<int64_t>& shape = tensor->shape();
  const int64_t entries = shape.empty() ? 0 : shape.back();
  const bool is_known =
      entries == 2 || entries == 4 || entries == 8 || entries == 16 || entries == 256;
  layer.spec.is_per_channel = shape.size() == 2;
  const bool fits =
      shape.size() == 1 || (shape.size() == 2 && shape[0] == layer.shape.out_features);
  if (!is_known || !fits) {
    return WrongShape(
        "codebook", *tensor,
        absl::StrCat("[E] or [", layer.shape.out_features, ", E], E one of 2, 4, 8, 16, 256"));
  }
  layer.spec.bits = std::countr_zero(static_cast<uint64_t>(entries));
  layer.codebook = tensor->ToFloat();
  return CheckFinite("codebook", layer.codebook);
}

absl::Status ReadIndices(const TensorMap& tensors, LutLayer& layer) {
  constexpr DType kDtypes[] = {DType::kU8};
  QTIPD_ASSIGN_OR_RETURN(const HostTensor* tensor, Find(tensors, "indices", kDtypes));
  const auto [out, in] = layer.shape;
  if (in % kLutRowMultiple != 0) {
    return InvalidField("TENSOR_VALUE_INVALID", "shape", absl::StrCat(out, ", ", in),
                        absl::StrCat("in_features a multiple of ", kLutRowMultiple));
  }
  const std::vector<int64_t> expected = {out, layer.spec.row_bytes(in)};
  if (tensor->shape() != expected) {
    return WrongShape("indices", *tensor,
                      absl::StrCat("[", expected[0], ", ", expected[1], "] for ", out, "x", in,
                                   " weights of ", layer.spec.bits, " bits"));
  }
  layer.indices = *tensor;
  return absl::OkStatus();
}

absl::Status ReadScales(const TensorMap& tensors, LutLayer& layer) {
  layer.spec.block = 0;
  layer.spec.scale_dtype = DType::kF16;
  if (!tensors.contains("scales")) return absl::OkStatus();
  constexpr DType kDtypes[] = {DType::kF16, DType::kBF16};
  QTIPD_ASSIGN_OR_RETURN(const HostTensor* tensor, Find(tensors, "scales", kDtypes));
  const auto [out, in] = layer.shape;
  const std::vector<int64_t>& shape = tensor->shape();
  const int64_t blocks = shape.size() == 2 ? shape[1] : 0;
  for (const int64_t block : {32, 64, 128}) {
    if (blocks * block == in) layer.spec.block = block;
  }
  if (shape.size() != 2 || shape[0] != out || layer.spec.block == 0) {
    return WrongShape(
        "scales", *tensor,
        absl::StrCat("[", out, ", B], B blocks of 32, 64 or 128 of the ", in, " in_features"));
  }
  layer.spec.scale_dtype = tensor->dtype();
  QTIPD_RETURN_IF_ERROR(CheckFinite("scales", tensor->ToFloat()));
  layer.scales.resize(tensor->element_count());
  std::memcpy(layer.scales.data(), tensor->bytes().data(), tensor->bytes().size());
  return absl::OkStatus();
}

std::string ScaleDtypeOption(DType dtype) { return dtype == DType::kBF16 ? "bf16" : "fp16"; }

}  // namespace

absl::StatusOr<LutLayer> ParseLutTensors(const TensorMap& tensors) {
  QTIPD_RETURN_IF_ERROR(CheckNames(tensors));
  LutLayer layer;
  QTIPD_ASSIGN_OR_RETURN(layer.shape, ReadShape(tensors));
  QTIPD_RETURN_IF_ERROR(ReadCodebook(tensors, layer));
  QTIPD_RETURN_IF_ERROR(ReadIndices(tensors, layer));
  QTIPD_RETURN_IF_ERROR(ReadScales(tensors, layer));
  QTIPD_RETURN_IF_ERROR(CheckLutShape(layer.spec, layer.shape));
  return layer;
}

absl::Status CheckLutOptions(const LutLayer& layer, const Options& options,
                             const std::map<std::string, OptionValue>& given) {
  std::map<std::string, OptionValue> found = {
      {"bits", int64_t{layer.spec.bits}},
      {"block_size", layer.spec.block},
      {"codebook_per", std::string(layer.spec.is_per_channel ? kLutChannel : kLutTensor)}};
  // Without scales there is nothing that has their type.
  if (layer.spec.block != 0) found["scale_dtype"] = ScaleDtypeOption(layer.spec.scale_dtype);
  if (!IsLutUniform(layer)) found["codebook"] = std::string(kLutKmeans);
  for (const auto& [name, value] : found) {
    if (!given.contains(name) || options.values().at(name) == value) continue;
    return InvalidField("OPTION_INVALID", name, OptionText(options.values().at(name)),
                        absl::StrCat(OptionText(value), ", which the layer's tensors say"));
  }
  return absl::OkStatus();
}

absl::StatusOr<LutLayer> ParseLutLayer(const PackedLayer& packed) {
  QTIPD_ASSIGN_OR_RETURN(LutLayer layer, ParseLutTensors(packed.tensors));
  if (layer.shape != packed.shape) {
    return InvalidField("SHAPE_MISMATCH", "shape",
                        absl::StrCat(packed.shape.out_features, "x", packed.shape.in_features),
                        absl::StrCat(layer.shape.out_features, "x", layer.shape.in_features,
                                     ", which tensor shape says"));
  }
  QTIPD_RETURN_IF_ERROR(CheckLutOptions(layer, packed.options, packed.options.values()));
  return layer;
}

bool IsLutUniform(const LutLayer& layer) {
  const int entries = layer.spec.entries();
  for (size_t first = 0; first < layer.codebook.size(); first += entries) {
    const float* codebook = layer.codebook.data() + first;
    const double step = (double{codebook[entries - 1]} - codebook[0]) / (entries - 1);
    for (int i = 0; i < entries; ++i) {
      const double exact = codebook[0] + step * i;
      // Each entry and both ends are rounded to fp16.
      const double tolerance = std::max(std::abs(double{codebook[0]}), std::abs(exact)) / 1024;
      if (std::abs(codebook[i] - exact) > tolerance) return false;
    }
  }
  return true;
}

}  // namespace qtipd
