#include "kernels/formats/qtip/qtip_layer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/formats/qtip/qtip_layer_tensors.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {
namespace {

std::string Text(Shape shape) {
  return "[" + std::to_string(shape.out_features) + ", " + std::to_string(shape.in_features) + "]";
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
  QTIPD_RETURN_IF_ERROR(CheckQtipTensorLength("trellis", trellis));
  const int64_t tiles = shape.out_features * shape.in_features / kQtipTileWeights;
  const std::vector<int64_t>& got = trellis.shape();
  if (got.size() == 2 && got[0] == tiles && got[1] % 16 == 0) {
    const int64_t bits = got[1] / 16;
    if (bits >= kQtipMinBits && bits <= kQtipMaxBits) return static_cast<int>(bits);
  }
  const std::string rows = std::to_string(tiles);
  return InvalidField("TENSOR_SHAPE_INVALID", "trellis", trellis.ShapeText(),
                      "[" + rows + ", 16], [" + rows + ", 32], [" + rows + ", 48] or [" + rows +
                          ", 64] for W " + Text(shape));
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

absl::StatusOr<QtipLayer> ParseQtipTensors(const TensorMap& tensors, const QtipCodeChoice& choice) {
  QtipLayer layer;
  QTIPD_ASSIGN_OR_RETURN(const HostTensor* trellis, FindQtipTensor(tensors, "trellis"));
  QTIPD_ASSIGN_OR_RETURN(layer.su, ReadQtipReals(tensors, "SU", 1, "[in_features]"));
  QTIPD_ASSIGN_OR_RETURN(layer.sv, ReadQtipReals(tensors, "SV", 1, "[out_features]"));
  QTIPD_ASSIGN_OR_RETURN(layer.spec, ReadQtipCode(tensors, choice));
  QTIPD_ASSIGN_OR_RETURN(layer.tlut, ReadQtipTlut(tensors, layer.spec));
  QTIPD_ASSIGN_OR_RETURN(layer.rcp, ReadScalar(tensors, "rcp", 0));
  QTIPD_ASSIGN_OR_RETURN(layer.tp_rank, ReadScalar(tensors, "tp_rank", 8));
  QTIPD_RETURN_IF_ERROR(CheckSupported(tensors, layer.rcp));
  layer.shape = {static_cast<int64_t>(layer.sv.size()), static_cast<int64_t>(layer.su.size())};
  QTIPD_RETURN_IF_ERROR(CheckQtipShape(layer.shape));
  QTIPD_ASSIGN_OR_RETURN(layer.spec.bits, CheckTrellis(*trellis, layer.shape));
  layer.trellis.resize(trellis->element_count());
  std::memcpy(layer.trellis.data(), trellis->bytes().data(), trellis->bytes().size());
  return layer;
}

absl::StatusOr<QtipLayer> ParseQtipLayer(const PackedLayer& packed) {
  QTIPD_ASSIGN_OR_RETURN(const QtipCodeSpec spec, QtipSpecOf(packed.options));
  QTIPD_ASSIGN_OR_RETURN(QtipLayer layer,
                         ParseQtipTensors(packed.tensors, {.code = spec.code,
                                                           .state_bits = spec.state_bits,
                                                           .vector_dim = spec.vector_dim}));
  if (packed.shape != layer.shape) {
    return InvalidField("SHAPE_MISMATCH", "shape", Text(packed.shape),
                        Text(layer.shape) + ", that of SV and SU");
  }
  if (spec.bits != layer.spec.bits) {
    return InvalidField("OPTION_INVALID", "bits", std::to_string(spec.bits),
                        std::to_string(layer.spec.bits) + ", that of trellis");
  }
  return layer;
}

TensorMap QtipTensors(const QtipLayer& layer) {
  const int64_t tiles = layer.shape.out_features * layer.shape.in_features / kQtipTileWeights;
  TensorMap tensors;
  tensors["trellis"] =
      HostTensor::Take(DType::kI16, {tiles, QtipTileWords(layer.spec.bits)}, layer.trellis);
  tensors["SU"] = HostTensor::Take(DType::kF32, {layer.shape.in_features}, layer.su);
  tensors["SV"] = HostTensor::Take(DType::kF32, {layer.shape.out_features}, layer.sv);
  if (!layer.tlut.empty()) {
    tensors["tlut"] = HostTensor::Take(DType::kF16, QtipTableShape(layer.spec), layer.tlut);
  }
  tensors["rcp"] = HostTensor::Take(DType::kI64, {}, std::vector<int64_t>{layer.rcp});
  tensors["tp_rank"] = HostTensor::Take(DType::kI64, {}, std::vector<int64_t>{layer.tp_rank});
  return tensors;
}

PackedLayer MakePackedQtipLayer(const QtipLayer& layer, Options options) {
  return {"qtip", std::move(options), layer.shape, QtipTensors(layer)};
}

}  // namespace qtipd
