#include "kernels/formats/qtip/qtip_layer.h"

#include <algorithm>
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

// What is left out would be lost, and may change what the others mean.
absl::Status CheckNames(const TensorMap& tensors) {
  if (tensors.contains("bias")) {
    return FieldError(absl::StatusCode::kUnimplemented, "LAYER_UNSUPPORTED", "bias",
                      "a layer with a bias",
                      "layers without bias; of a whole model the bias is left out and named");
  }
  return CheckQtipTensorNames(tensors);
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

int64_t NearestSide(int64_t features) {
  return NearestHadamardSize(features, kQtipMinFeatures, kQtipMaxFeatures, kQtipMinFeatures);
}

// What a rotation's size may be, for errors.
std::string SizesText() {
  std::string orders;
  for (auto order = kHadamardOrders.rbegin(); order != kHadamardOrders.rend(); ++order) {
    orders += std::to_string(*order) + ", ";
  }
  return "multiples of " + std::to_string(kQtipMinFeatures) + " to " +
         std::to_string(kQtipMaxFeatures) + " that are a power of two times one of " + orders +
         "or 1";
}

// The side `tensor` of `features` elements, rotated in `shards` shards.
absl::Status CheckShards(const std::string& tensor, int64_t features, int64_t shards) {
  if (shards < 1 || features % shards != 0 || features > kQtipMaxFeatures) {
    return InvalidField("TENSOR_VALUE_INVALID", "tp_rank", std::to_string(shards),
                        "divisors of " + std::to_string(features) + ", the length of " + tensor +
                            ", which is at most " + std::to_string(kQtipMaxFeatures));
  }
  const int64_t size = features / shards;
  if (NearestSide(size) == size) return absl::OkStatus();
  return InvalidField("TENSOR_VALUE_INVALID", "tp_rank",
                      std::to_string(shards) + ", which makes shards of " + std::to_string(size) +
                          " elements of " + tensor,
                      "shards whose size is among the " + SizesText());
}

// The side `tensor` of a tensor-parallel layer that is rotated as a whole.
absl::Status CheckWhole(const std::string& tensor, int64_t features) {
  const int64_t nearest = NearestSide(features);
  if (nearest == features) return absl::OkStatus();
  return InvalidField("SHAPE_UNSUPPORTED", tensor, std::to_string(features) + " elements",
                      SizesText() + "; the nearest is " + std::to_string(nearest));
}

absl::Status CheckRotations(const QtipLayer& layer) {
  const auto [out, in] = layer.shape;
  switch (layer.rcp) {
    case 0:
      return CheckQtipShape(layer.shape);
    case 1:
      QTIPD_RETURN_IF_ERROR(CheckWhole("SV", out));
      return CheckShards("SU", in, layer.tp_rank);
    case 2:
      QTIPD_RETURN_IF_ERROR(CheckWhole("SU", in));
      return CheckShards("SV", out, layer.tp_rank);
    default:
      return InvalidField("TENSOR_VALUE_INVALID", "rcp", std::to_string(layer.rcp),
                          "0 (none), 1 (inputs in shards), 2 (outputs in shards)");
  }
}

}  // namespace

QtipRotation QtipLayer::input_rotation() const {
  const int64_t shards = rcp == 1 ? tp_rank : 1;
  return {shape.in_features / shards, shards};
}

QtipRotation QtipLayer::output_rotation() const {
  const int64_t shards = rcp == 2 ? tp_rank : 1;
  return {shape.out_features / shards, shards};
}

absl::Status CheckQtipShape(Shape shape) {
  const Shape nearest = {NearestSide(shape.out_features), NearestSide(shape.in_features)};
  if (nearest == shape) return absl::OkStatus();
  return InvalidField("SHAPE_UNSUPPORTED", "shape", Text(shape),
                      "sides that are " + SizesText() + "; the nearest is " + Text(nearest));
}

absl::StatusOr<QtipLayer> ParseQtipTensors(const TensorMap& tensors, const QtipCodeChoice& choice) {
  QtipLayer layer;
  QTIPD_ASSIGN_OR_RETURN(const HostTensor* trellis, FindQtipTensor(tensors, "trellis"));
  QTIPD_ASSIGN_OR_RETURN(layer.su, ReadQtipReals(tensors, "SU", 1, "[in_features]"));
  QTIPD_ASSIGN_OR_RETURN(layer.sv, ReadQtipReals(tensors, "SV", 1, "[out_features]"));
  QTIPD_ASSIGN_OR_RETURN(layer.spec, ReadQtipCode(tensors, choice));
  QTIPD_ASSIGN_OR_RETURN(layer.tlut, ReadQtipTlut(tensors, layer.spec));
  QTIPD_ASSIGN_OR_RETURN(layer.rcp, ReadScalar(tensors, "rcp", 0));
  QTIPD_ASSIGN_OR_RETURN(layer.tp_rank, ReadScalar(tensors, "tp_rank", kQtipDefaultTpRank));
  QTIPD_RETURN_IF_ERROR(CheckNames(tensors));
  layer.shape = {static_cast<int64_t>(layer.sv.size()), static_cast<int64_t>(layer.su.size())};
  QTIPD_RETURN_IF_ERROR(CheckRotations(layer));
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
  if (packed.options.GetString("codebook") == kQtipInt8Codebook && QtipTableStep(layer.tlut) == 0) {
    return InvalidField("OPTION_INVALID", "codebook", kQtipInt8Codebook,
                        std::string(kQtipFp16Codebook) + ", since tlut lies on no grid of 8 bits");
  }
  return layer;
}

TensorMap QtipTensors(QtipLayer layer) {
  const int64_t tiles = layer.shape.out_features * layer.shape.in_features / kQtipTileWeights;
  TensorMap tensors;
  tensors["trellis"] = HostTensor::Take(DType::kI16, {tiles, QtipTileWords(layer.spec.bits)},
                                        std::move(layer.trellis));
  tensors["SU"] = HostTensor::Take(DType::kF32, {layer.shape.in_features}, std::move(layer.su));
  tensors["SV"] = HostTensor::Take(DType::kF32, {layer.shape.out_features}, std::move(layer.sv));
  if (!layer.tlut.empty()) {
    tensors["tlut"] =
        HostTensor::Take(DType::kF16, QtipTableShape(layer.spec), std::move(layer.tlut));
  }
  tensors["rcp"] = HostTensor::Take(DType::kI64, {}, std::vector<int64_t>{layer.rcp});
  tensors["tp_rank"] = HostTensor::Take(DType::kI64, {}, std::vector<int64_t>{layer.tp_rank});
  return tensors;
}

PackedLayer MakePackedQtipLayer(QtipLayer layer, Options options) {
  const Shape shape = layer.shape;
  return {"qtip", std::move(options), shape, QtipTensors(std::move(layer))};
}

}  // namespace qtipd
