#include "kernels/formats/qtip/qtip_layer_tensors.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/formats/qtip/qtip_table.h"

namespace qtipd {
namespace {

constexpr int64_t kMaxTableRows = kQtipStates;
constexpr int64_t kMaxQuantLutRows = kQtipStates / 2;

bool IsPowerOfTwo(int64_t value) { return value > 1 && std::has_single_bit(uint64_t(value)); }

int Log2(int64_t value) { return std::countr_zero(static_cast<uint64_t>(value)); }

std::string CodesWithTable() { return "[512, 2], [65536, 1], [65536, 2] or [2^Q] with Q to 15"; }

absl::Status WrongTable(const HostTensor& tlut, const std::string& allowed) {
  return InvalidField("TENSOR_SHAPE_INVALID", "tlut", tlut.ShapeText(), allowed);
}

std::string CodeNames() {
  std::string names;
  for (const QtipCodeInfo& info : QtipCodes()) {
    names += (names.empty() ? "" : ", ") + std::string(info.name);
  }
  return names;
}

// The code that a table of this shape belongs to if nothing else is known.
absl::StatusOr<QtipCode> CodeOfTable(const HostTensor& tlut) {
  const std::vector<int64_t>& shape = tlut.shape();
  const int64_t rows = shape.empty() ? 0 : shape[0];
  const int64_t columns = shape.size() == 1 ? 1 : shape.size() == 2 ? shape[1] : 0;
  if (rows == kQtipLutEntries && columns == 2) return QtipCode::kHyb;
  if (rows == kMaxTableRows && (columns == 1 || columns == 2)) return QtipCode::kLut;
  if (IsPowerOfTwo(rows) && rows <= kMaxQuantLutRows && columns == 1) return QtipCode::kQuantLut;
  return WrongTable(tlut, CodesWithTable());
}

absl::Status CheckHybTable(const HostTensor& tlut) {
  if (tlut.shape() == std::vector<int64_t>{kQtipLutEntries, 2}) return absl::OkStatus();
  return WrongTable(tlut, "[512, 2]");
}

// Of spec.state_bits bits.
absl::Status ReadLutTable(const HostTensor& tlut, const QtipCodeChoice& choice,
                          QtipCodeSpec& spec) {
  const std::vector<int64_t>& shape = tlut.shape();
  const int64_t columns = shape.size() == 2 ? shape[1] : 0;
  if (columns < 1 || columns > 2 || shape[0] != spec.states() ||
      columns != choice.vector_dim.value_or(static_cast<int>(columns))) {
    return WrongTable(
        tlut, "[" + std::to_string(spec.states()) + ", " +
                  (choice.vector_dim ? std::to_string(*choice.vector_dim) : "1 or 2") + "] for " +
                  std::to_string(spec.state_bits) + " state bits");
  }
  spec.table_bits = spec.state_bits;
  spec.vector_dim = static_cast<int>(columns);
  return absl::OkStatus();
}

absl::Status ReadQuantLutTable(const HostTensor& tlut, QtipCodeSpec& spec) {
  const std::vector<int64_t>& shape = tlut.shape();
  const bool is_vector = shape.size() == 1 || (shape.size() == 2 && shape[1] == 1);
  if (!is_vector || !IsPowerOfTwo(shape[0]) || shape[0] > kMaxQuantLutRows) {
    return WrongTable(tlut, "[2^Q] with Q from 1 to 15");
  }
  spec.table_bits = Log2(shape[0]);
  return absl::OkStatus();
}

absl::Status ReadTableShape(const TensorMap& tensors, const QtipCodeChoice& choice,
                            QtipCodeSpec& spec) {
  QTIPD_ASSIGN_OR_RETURN(const HostTensor* tlut, FindQtipTensor(tensors, "tlut"));
  if (spec.code == QtipCode::kHyb) return CheckHybTable(*tlut);
  if (spec.code == QtipCode::kLut) return ReadLutTable(*tlut, choice, spec);
  return ReadQuantLutTable(*tlut, spec);
}

}  // namespace

absl::StatusOr<const HostTensor*> FindQtipTensor(const TensorMap& tensors,
                                                 const std::string& name) {
  const auto found = tensors.find(name);
  if (found != tensors.end()) return &found->second;
  std::string present;
  for (const auto& [other, tensor] : tensors) present += (present.empty() ? "" : ", ") + other;
  return FieldError(absl::StatusCode::kInvalidArgument, "TENSOR_MISSING", name,
                    present.empty() ? "no tensors" : "only " + present,
                    "a layer with trellis, SU, SV, and tlut where the code has a table");
}

absl::Status CheckQtipTensorNames(const TensorMap& tensors, const std::string& prefix) {
  for (const auto& [name, tensor] : tensors) {
    if (std::ranges::find(kQtipTensorNames, name) != kQtipTensorNames.end()) continue;
    std::string known;
    for (const char* one : kQtipTensorNames)
      known += (known.empty() ? "" : ", ") + std::string(one);
    return InvalidField("TENSOR_UNKNOWN", prefix + name, "a tensor beside those of a layer", known);
  }
  return absl::OkStatus();
}

absl::Status CheckQtipTensorLength(const std::string& name, const HostTensor& tensor) {
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
absl::StatusOr<std::vector<float>> ReadQtipReals(const TensorMap& tensors, const std::string& name,
                                                 size_t rank, const std::string& allowed) {
  QTIPD_ASSIGN_OR_RETURN(const HostTensor* tensor, FindQtipTensor(tensors, name));
  const DType dtype = tensor->dtype();
  if (dtype != DType::kF16 && dtype != DType::kBF16 && dtype != DType::kF32) {
    return InvalidField("TENSOR_DTYPE_UNSUPPORTED", name, DTypeName(dtype), "F16, BF16, F32");
  }
  QTIPD_RETURN_IF_ERROR(CheckQtipTensorLength(name, *tensor));
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

absl::StatusOr<QtipCodeSpec> ReadQtipCode(const TensorMap& tensors, const QtipCodeChoice& choice) {
  const auto tlut = tensors.find("tlut");
  QtipCodeSpec spec;
  if (choice.code) {
    spec.code = *choice.code;
  } else if (tlut != tensors.end()) {
    QTIPD_ASSIGN_OR_RETURN(spec.code, CodeOfTable(tlut->second));
  } else {
    return InvalidField("CODE_REQUIRED", "code", "no option and no tensor tlut to read it off",
                        "one of " + CodeNames());
  }
  const QtipCodeInfo& info = QtipCodeInfoOf(spec.code);
  spec.state_bits = choice.state_bits.value_or(kQtipStateBits);
  spec.vector_dim = info.default_vector_dim;
  spec.table_bits = std::max(info.table_bits, 0);
  if (info.table_bits != 0) {
    QTIPD_RETURN_IF_ERROR(ReadTableShape(tensors, choice, spec));
  } else if (tlut != tensors.end()) {
    return InvalidField("OPTION_INVALID", "code", info.name,
                        "a code with a table: the layer has a tlut " + tlut->second.ShapeText());
  }
  if (choice.vector_dim && *choice.vector_dim != spec.vector_dim) {
    return InvalidField("OPTION_INVALID", "vector_dim", std::to_string(*choice.vector_dim),
                        std::to_string(spec.vector_dim) + " for code " + std::string(info.name));
  }
  return spec;
}

absl::StatusOr<std::vector<uint16_t>> ReadQtipTlut(const TensorMap& tensors,
                                                   const QtipCodeSpec& spec) {
  std::vector<uint16_t> tlut;
  if (spec.table_bits == 0) return tlut;
  QTIPD_ASSIGN_OR_RETURN(const HostTensor* tensor, FindQtipTensor(tensors, "tlut"));
  QTIPD_ASSIGN_OR_RETURN(const std::vector<float> values,
                         ReadQtipReals(tensors, "tlut", tensor->shape().size(), "a table"));
  tlut.resize(values.size());
  std::ranges::transform(values, tlut.begin(), FloatToHalf);
  if (std::ranges::any_of(tlut, [](uint16_t half) { return (half & 0x7C00) == 0x7C00; })) {
    return InvalidField("TENSOR_NOT_FINITE", "tlut", "values beyond fp16", "at most 65504");
  }
  return tlut;
}

}  // namespace qtipd
