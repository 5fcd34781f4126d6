#include "kernels/formats/int4/int4_checkpoint.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/formats/int4/int4_awq.h"
#include "kernels/formats/int4/int4_options.h"
#include "kernels/formats/int4/int4_tensors.h"

namespace qtipd {
namespace {

using Given = std::map<std::string, OptionValue>;

constexpr uint32_t kSameNibbles = 0x11111111u;

// The tensors of a checkpoint's layer, their shapes checked.
struct Source {
  HostTensor qweight;
  HostTensor qzeros;
  HostTensor scales;
  Shape shape;
  bool is_awq = false;

  int64_t groups() const { return scales.shape()[0]; }
  int64_t group_size() const { return shape.in_features / groups(); }
};

// W's shape and whose packing it is, from qweight beside scales [groups, out_features].
absl::Status ReadShape(Source& source) {
  const int64_t out = source.scales.shape()[1];
  const int64_t rows = source.qweight.shape()[0];
  const int64_t cols = source.qweight.shape()[1];
  if (out % kInt4PerWord != 0) {
    return InvalidField("TENSOR_SHAPE_INVALID", "scales", source.scales.ShapeText(),
                        "[groups, out_features] with out_features a multiple of 8");
  }
  if (cols == out) {
    source.shape = {out, rows * kInt4PerWord};
  } else if (cols == out / kInt4PerWord && rows % kInt4PerWord == 0) {
    source.shape = {out, rows};
    source.is_awq = true;
  } else {
    return InvalidField(
        "TENSOR_SHAPE_INVALID", "qweight", source.qweight.ShapeText(),
        absl::StrCat("GPTQ's [in_features / 8, ", out, "] or AWQ's [in_features, ",
                     out / kInt4PerWord, "] beside scales ", source.scales.ShapeText()));
  }
  return CheckInt4TensorShape("qzeros", source.qzeros, {source.groups(), out / kInt4PerWord});
}

absl::Status CheckGroups(const Source& source, const Given& given) {
  const int64_t in = source.shape.in_features;
  const bool divides = in % source.groups() == 0;
  const int64_t size = divides ? source.group_size() : 0;
  if (size != in && std::ranges::find(kInt4GroupSizes, size) == std::end(kInt4GroupSizes)) {
    return InvalidField("TENSOR_SHAPE_INVALID", "scales", source.scales.ShapeText(),
                        absl::StrCat("groups of 32, 64, 128 or all of the ", in, " in_features"));
  }
  const auto stated = given.find("group_size");
  if (stated == given.end()) return absl::OkStatus();
  const int64_t wanted = std::get<int64_t>(stated->second);
  if (wanted == size || (wanted == kInt4PerChannel && size == in)) return absl::OkStatus();
  return InvalidField("OPTION_INVALID", "group_size", std::to_string(wanted),
                      absl::StrCat(size, ", as scales ", source.scales.ShapeText(), " has ",
                                   source.groups(), " groups of ", in, " in_features"));
}

// Whether g_idx, if there is one, is a group for each column.
absl::Status CheckOrderShape(const TensorMap& tensors, const Source& source) {
  const auto found = tensors.find("g_idx");
  if (found == tensors.end()) return absl::OkStatus();
  const HostTensor& g_idx = found->second;
  const int64_t in = source.shape.in_features;
  if (g_idx.dtype() != DType::kI32) {
    return InvalidField("TENSOR_DTYPE_UNSUPPORTED", "g_idx", DTypeName(g_idx.dtype()), "I32");
  }
  QTIPD_RETURN_IF_ERROR(CheckInt4TensorShape("g_idx", g_idx, {in}));
  if (g_idx.bytes().size() == in * sizeof(int32_t)) return absl::OkStatus();
  return InvalidField("TENSOR_SHAPE_INVALID", "g_idx",
                      absl::StrCat(g_idx.ShapeText(), " over ", g_idx.bytes().size(), " bytes"),
                      "as many elements as the shape says");
}

// An order other than that of the columns is what act-order (desc_act) makes.
absl::Status CheckOrder(const TensorMap& tensors, const Source& source) {
  const auto found = tensors.find("g_idx");
  if (found == tensors.end()) return absl::OkStatus();
  for (int64_t col = 0; col < source.shape.in_features; ++col) {
    const auto group = static_cast<int32_t>(Int4TensorWord(found->second, col));
    if (group == col / source.group_size()) continue;
    return FieldError(absl::StatusCode::kUnimplemented, "LAYER_UNSUPPORTED", "g_idx",
                      absl::StrCat("group ", group, " for column ", col),
                      absl::StrCat("column / ", source.group_size(),
                                   ": a layer in act-order (desc_act) is not supported"));
  }
  return absl::OkStatus();
}

// Looks at names, types and shapes alone.
absl::StatusOr<Source> ReadSource(const TensorMap& tensors, const Given& given) {
  QTIPD_RETURN_IF_ERROR(CheckInt4Names(tensors, {"g_idx", "qweight", "qzeros", "scales"}));
  Source source;
  for (const auto& [name, tensor] : {std::pair("qweight", &source.qweight),
                                     {"qzeros", &source.qzeros},
                                     {"scales", &source.scales}}) {
    QTIPD_ASSIGN_OR_RETURN(const HostTensor* found, FindInt4Tensor(tensors, name));
    *tensor = *found;
  }
  QTIPD_RETURN_IF_ERROR(CheckInt4Matrix("scales", source.scales, {DType::kF16, DType::kBF16},
                                        "[groups, out_features]"));
  QTIPD_RETURN_IF_ERROR(
      CheckInt4Matrix("qweight", source.qweight, {DType::kI32}, "[in_features / 8, out_features]"));
  QTIPD_RETURN_IF_ERROR(
      CheckInt4Matrix("qzeros", source.qzeros, {DType::kI32}, "[groups, out_features / 8]"));
  QTIPD_RETURN_IF_ERROR(ReadShape(source));
  QTIPD_RETURN_IF_ERROR(CheckGroups(source, given));
  QTIPD_RETURN_IF_ERROR(CheckOrderShape(tensors, source));
  return source;
}

// The number that all of qzeros hold, if it is one.
std::optional<int> CommonZero(const HostTensor& qzeros) {
  const uint32_t first = Int4TensorWord(qzeros, 0);
  if (first != (first & 15) * kSameNibbles) return std::nullopt;
  const auto words = static_cast<int64_t>(qzeros.bytes().size() / sizeof(uint32_t));
  for (int64_t i = 1; i < words; ++i) {
    if (Int4TensorWord(qzeros, i) != first) return std::nullopt;
  }
  return static_cast<int>(first & 15);
}

// Where in qzeros a number is less than `least`: its index, in the order of the words.
std::optional<int64_t> FindZeroBelow(const HostTensor& qzeros, int least) {
  const auto words = static_cast<int64_t>(qzeros.bytes().size() / sizeof(uint32_t));
  for (int64_t i = 0; i < words * kInt4PerWord; ++i) {
    const uint32_t word = Int4TensorWord(qzeros, i / kInt4PerWord);
    if (Int4Nibble(word, i % kInt4PerWord) < least) return i;
  }
  return std::nullopt;
}

// How the artefact's zero points are kept, and whether any are.
absl::Status ReadZeros(const Source& source, const Given& given, Int4Spec& spec) {
  const std::optional<int> common = CommonZero(source.qzeros);
  const auto format = given.find("checkpoint_format");
  if (format != given.end()) {
    spec.zero_offset = std::get<std::string>(format->second) == kInt4GptqV1 ? 1 : 0;
  } else {
    spec.zero_offset = source.is_awq || common == kInt4SymmetricZero ? 0 : 1;
  }
  const int read_offset = source.is_awq ? 0 : spec.zero_offset;
  const bool all_eight = common && *common + read_offset == kInt4SymmetricZero;
  const auto symmetric = given.find("symmetric");
  spec.is_symmetric = symmetric == given.end() ? all_eight : std::get<bool>(symmetric->second);
  if (spec.is_symmetric && !all_eight) {
    return InvalidField("OPTION_INVALID", "symmetric", "true",
                        "false: not all zero points in qzeros are 8");
  }
  return absl::OkStatus();
}

absl::Status CheckScaleDtype(const Source& source, const Given& given) {
  const auto stated = given.find("scale_dtype");
  if (stated == given.end()) return absl::OkStatus();
  const std::string& wanted = std::get<std::string>(stated->second);
  const std::string found = source.scales.dtype() == DType::kF16 ? "fp16" : "bf16";
  if (wanted == found) return absl::OkStatus();
  return InvalidField("OPTION_INVALID", "scale_dtype", wanted, found + ", the type of scales");
}

// qzeros of the artefact.
absl::StatusOr<HostTensor> ConvertZeros(const Source& source, const Int4Spec& spec) {
  if (!source.is_awq) return source.qzeros;
  if (const auto below = FindZeroBelow(source.qzeros, spec.zero_offset)) {
    return InvalidField("TENSOR_VALUE_INVALID", "qzeros",
                        absl::StrCat("zero point 0 in word ", *below / kInt4PerWord),
                        "1 to 15, as option checkpoint_format=gptq keeps them less one; gptq_v2 "
                        "has 0 too");
  }
  return Int4ZerosFromAwq(source.qzeros, spec.zero_offset);
}

}  // namespace

absl::StatusOr<bool> CheckInt4CheckpointShapes(const TensorMap& tensors, const Given& given) {
  QTIPD_ASSIGN_OR_RETURN(const Source source, ReadSource(tensors, given));
  return source.is_awq;
}

absl::StatusOr<Int4Checkpoint> ReadInt4Checkpoint(const TensorMap& tensors, const Given& given) {
  QTIPD_ASSIGN_OR_RETURN(const Source source, ReadSource(tensors, given));
  QTIPD_RETURN_IF_ERROR(CheckScaleDtype(source, given));
  QTIPD_RETURN_IF_ERROR(CheckOrder(tensors, source));
  QTIPD_RETURN_IF_ERROR(CheckInt4Scales(source.scales));
  Int4Checkpoint checkpoint{.shape = source.shape, .spec = {}, .tensors = {}};
  checkpoint.spec.group_size = source.group_size();
  checkpoint.spec.scale_dtype = source.scales.dtype();
  QTIPD_RETURN_IF_ERROR(ReadZeros(source, given, checkpoint.spec));
  checkpoint.tensors["scales"] = source.scales;
  if (!checkpoint.spec.is_symmetric) {
    QTIPD_ASSIGN_OR_RETURN(checkpoint.tensors["qzeros"], ConvertZeros(source, checkpoint.spec));
  }
  checkpoint.tensors["qweight"] =
      source.is_awq ? Int4WeightsFromAwq(source.qweight) : source.qweight;
  return checkpoint;
}

TensorMap WriteInt4Checkpoint(const Int4Layer& layer, const TensorMap& tensors) {
  const auto [out, in] = layer.shape();
  TensorMap written = tensors;
  if (layer.spec().is_symmetric) {
    const auto stored = static_cast<uint32_t>(kInt4SymmetricZero - layer.spec().zero_offset);
    written["qzeros"] = HostTensor::Take(
        DType::kI32, {layer.groups(), out / kInt4PerWord},
        std::vector<uint32_t>(layer.groups() * (out / kInt4PerWord), stored * kSameNibbles));
  }
  std::vector<int32_t> g_idx(in);
  for (int64_t col = 0; col < in; ++col) {
    g_idx[col] = static_cast<int32_t>(col / layer.spec().group_size);
  }
  written["g_idx"] = HostTensor::Take(DType::kI32, {in}, std::move(g_idx));
  return written;
}

}  // namespace qtipd
