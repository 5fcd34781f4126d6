#include "kernels/formats/qtip/qtip_layer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

std::string Text(Shape shape) {
  return "[" + std::to_string(shape.out_features) + ", " + std::to_string(shape.in_features) + "]";
}

absl::StatusOr<const HostTensor*> Find(const TensorMap& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  if (found != tensors.end()) return &found->second;
  std::string present;
  for (const auto& [other, tensor] : tensors) present += (present.empty() ? "" : ", ") + other;
  return FieldError(absl::StatusCode::kInvalidArgument, "TENSOR_MISSING", name,
                    present.empty() ? "no tensors" : "only " + present,
                    "a layer with trellis, SU, SV and tlut");
}

absl::Status CheckLength(const std::string& name, const HostTensor& tensor) {
  const std::vector<int64_t>& shape = tensor.shape();
  int64_t count = 1;
  for (int64_t size : shape) count *= size;
  if (count == tensor.element_count()) return absl::OkStatus();
  return InvalidField(
      "TENSOR_SHAPE_INVALID", name,
      tensor.ShapeText() + " over " + std::to_string(tensor.element_count()) + " elements",
      "as many elements as the shape says");
}

// A float side tensor as fp32; `allowed` describes its shape in errors.
absl::StatusOr<std::vector<float>> ReadReals(const TensorMap& tensors, const std::string& name,
                                             size_t rank, const std::string& allowed) {
  QTIPD_ASSIGN_OR_RETURN(const HostTensor* tensor, Find(tensors, name));
  const DType dtype = tensor->dtype();
  if (dtype != DType::kF16 && dtype != DType::kBF16 && dtype != DType::kF32) {
    return InvalidField("TENSOR_DTYPE_UNSUPPORTED", name, DTypeName(dtype), "F16, BF16, F32");
  }
  QTIPD_RETURN_IF_ERROR(CheckLength(name, *tensor));
  if (tensor->shape().size() != rank) {
    return InvalidField("TENSOR_SHAPE_INVALID", name, tensor->ShapeText(), allowed);
  }
  std::vector<float> values = tensor->ToFloat();
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  if (bad != values.end()) {
    return InvalidField(
        "TENSOR_NOT_FINITE", name,
        std::to_string(*bad) + " at element " + std::to_string(bad - values.begin()),
        "finite values");
  }
  return values;
}

absl::StatusOr<std::vector<uint16_t>> ReadTlut(const TensorMap& tensors) {
  const std::string allowed = "[512, 2]";
  QTIPD_ASSIGN_OR_RETURN(const std::vector<float> values, ReadReals(tensors, "tlut", 2, allowed));
  const HostTensor& tensor = tensors.at("tlut");
  if (tensor.shape() != std::vector<int64_t>{kQtipLutEntries, kQtipVectorDim}) {
    return InvalidField("TENSOR_SHAPE_INVALID", "tlut", tensor.ShapeText(), allowed);
  }
  std::vector<uint16_t> tlut(values.size());
  std::transform(values.begin(), values.end(), tlut.begin(), FloatToHalf);
  if (std::any_of(tlut.begin(), tlut.end(),
                  [](uint16_t half) { return (half & 0x7C00) == 0x7C00; })) {
    return InvalidField("TENSOR_NOT_FINITE", "tlut", "values beyond fp16", "at most 65504");
  }
  return tlut;
}

absl::StatusOr<int> ReadScalar(const TensorMap& tensors, const std::string& name, int missing) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) return missing;
  const HostTensor& tensor = found->second;
  if (tensor.element_count() != 1) {
    return InvalidField("TENSOR_SHAPE_INVALID", name, tensor.ShapeText(), "a scalar");
  }
  const float value = tensor.ToFloat()[0];
  if (value != std::floor(value) || std::abs(value) > 1024) {
    return InvalidField("TENSOR_VALUE_INVALID", name, std::to_string(value), "an integer to 1024");
  }
  return static_cast<int>(value);
}

absl::Status CheckSupported(const TensorMap& tensors, int rcp) {
  const auto refuse = [](std::string_view field, std::string_view got, std::string_view allowed) {
    return FieldError(absl::StatusCode::kUnimplemented, "LAYER_UNSUPPORTED", field, got, allowed);
  };
  if (tensors.contains("bias")) return refuse("bias", "a layer with a bias", "layers without bias");
  if (rcp != 0) {
    return refuse("rcp", std::to_string(rcp) + " (rotations split for tensor parallelism)", "0");
  }
  return absl::OkStatus();
}

// Checks [out/16 * in/16, 16 * bits] and returns bits.
absl::StatusOr<int> CheckTrellis(const HostTensor& trellis, Shape shape) {
  if (trellis.dtype() != DType::kI16 && trellis.dtype() != DType::kU16) {
    return InvalidField("TENSOR_DTYPE_UNSUPPORTED", "trellis", DTypeName(trellis.dtype()), "I16");
  }
  QTIPD_RETURN_IF_ERROR(CheckLength("trellis", trellis));
  const int64_t tiles = shape.out_features * shape.in_features / kQtipTileWeights;
  const std::vector<int64_t>& got = trellis.shape();
  if (got.size() == 2 && got[0] == tiles && got[1] % 16 == 0) {
    const int64_t bits = got[1] / 16;
    if (bits >= kQtipMinBits && bits <= kQtipMaxBits) return static_cast<int>(bits);
  }
  const std::string rows = std::to_string(tiles);
  return InvalidField(
      "TENSOR_SHAPE_INVALID", "trellis", trellis.ShapeText(),
      "[" + rows + ", 32], [" + rows + ", 48] or [" + rows + ", 64] for W " + Text(shape));
}

int64_t NearestFeatures(int64_t features) {
  if (features <= kQtipMinFeatures) return kQtipMinFeatures;
  if (features >= kQtipMaxFeatures) return kQtipMaxFeatures;
  const auto below = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(features)));
  return features - below <= 2 * below - features ? below : 2 * below;
}

}  // namespace

absl::Status CheckQtipShape(Shape shape) {
  const Shape nearest = {NearestFeatures(shape.out_features), NearestFeatures(shape.in_features)};
  if (nearest == shape) return absl::OkStatus();
  return InvalidField("SHAPE_UNSUPPORTED", "shape", Text(shape),
                      "powers of two from " + std::to_string(kQtipMinFeatures) + " to " +
                          std::to_string(kQtipMaxFeatures) + "; the nearest is " + Text(nearest));
}

absl::StatusOr<QtipLayer> ParseQtipTensors(const TensorMap& tensors) {
  QtipLayer layer;
  QTIPD_ASSIGN_OR_RETURN(const HostTensor* trellis, Find(tensors, "trellis"));
  QTIPD_ASSIGN_OR_RETURN(layer.su, ReadReals(tensors, "SU", 1, "[in_features]"));
  QTIPD_ASSIGN_OR_RETURN(layer.sv, ReadReals(tensors, "SV", 1, "[out_features]"));
  QTIPD_ASSIGN_OR_RETURN(layer.tlut, ReadTlut(tensors));
  QTIPD_ASSIGN_OR_RETURN(layer.rcp, ReadScalar(tensors, "rcp", 0));
  QTIPD_ASSIGN_OR_RETURN(layer.tp_rank, ReadScalar(tensors, "tp_rank", 8));
  QTIPD_RETURN_IF_ERROR(CheckSupported(tensors, layer.rcp));
  layer.shape = {static_cast<int64_t>(layer.sv.size()), static_cast<int64_t>(layer.su.size())};
  QTIPD_RETURN_IF_ERROR(CheckQtipShape(layer.shape));
  QTIPD_ASSIGN_OR_RETURN(layer.bits, CheckTrellis(*trellis, layer.shape));
  layer.trellis.resize(trellis->element_count());
  std::memcpy(layer.trellis.data(), trellis->bytes().data(), trellis->bytes().size());
  return layer;
}

absl::StatusOr<QtipLayer> ParseQtipLayer(const PackedLayer& packed) {
  QTIPD_ASSIGN_OR_RETURN(QtipLayer layer, ParseQtipTensors(packed.tensors));
  if (packed.shape != layer.shape) {
    return InvalidField("SHAPE_MISMATCH", "shape", Text(packed.shape),
                        Text(layer.shape) + ", that of SV and SU");
  }
  if (packed.options.GetInt("bits") != layer.bits) {
    return InvalidField("OPTION_INVALID", "bits", std::to_string(packed.options.GetInt("bits")),
                        std::to_string(layer.bits) + ", that of trellis");
  }
  return layer;
}

TensorMap QtipTensors(const QtipLayer& layer) {
  const int64_t tiles = layer.shape.out_features * layer.shape.in_features / kQtipTileWeights;
  TensorMap tensors;
  tensors["trellis"] =
      HostTensor::Take(DType::kI16, {tiles, QtipTileWords(layer.bits)}, layer.trellis);
  tensors["SU"] = HostTensor::Take(DType::kF32, {layer.shape.in_features}, layer.su);
  tensors["SV"] = HostTensor::Take(DType::kF32, {layer.shape.out_features}, layer.sv);
  tensors["tlut"] = HostTensor::Take(DType::kF16, {kQtipLutEntries, kQtipVectorDim}, layer.tlut);
  tensors["rcp"] = HostTensor::Take(DType::kI64, {}, std::vector<int64_t>{layer.rcp});
  tensors["tp_rank"] = HostTensor::Take(DType::kI64, {}, std::vector<int64_t>{layer.tp_rank});
  return tensors;
}

PackedLayer MakePackedQtipLayer(const QtipLayer& layer, Options options) {
  return {"qtip", std::move(options), layer.shape, QtipTensors(layer)};
}

}  // namespace qtipd
