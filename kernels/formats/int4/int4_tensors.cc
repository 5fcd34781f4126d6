#include "kernels/formats/int4/int4_tensors.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/formats/int4/int4_layout.h"

namespace qtipd {
namespace {

template <typename Names, typename Text>
std::string Joined(const Names& names, const Text& text) {
  std::string joined;
  for (const auto& name : names) absl::StrAppend(&joined, joined.empty() ? "" : ", ", text(name));
  return joined;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return "[" + Joined(shape, [](int64_t side) { return std::to_string(side); }) + "]";
}

// Without overflow, whatever a file says.
bool HasAsManyBytes(const HostTensor& tensor) {
  uint64_t left = tensor.bytes().size() / DTypeSize(tensor.dtype());
  if (left * DTypeSize(tensor.dtype()) != tensor.bytes().size()) return false;
  for (const int64_t side : tensor.shape()) {
    if (side < 1 || left % static_cast<uint64_t>(side) != 0) return false;
    left /= static_cast<uint64_t>(side);
  }
  return left == 1;
}

}  // namespace

absl::StatusOr<const HostTensor*> FindInt4Tensor(const TensorMap& tensors,
                                                 const std::string& name) {
  const auto found = tensors.find(name);
  if (found != tensors.end()) return &found->second;
  const std::string present =
      Joined(tensors, [](const auto& entry) -> const std::string& { return entry.first; });
  return FieldError(absl::StatusCode::kInvalidArgument, "TENSOR_MISSING", name,
                    present.empty() ? "no tensors" : "only " + present,
                    "a layer with qweight, qzeros and scales");
}

absl::Status CheckInt4Names(const TensorMap& tensors,
                            std::initializer_list<std::string_view> known) {
  for (const auto& [name, tensor] : tensors) {
    if (std::ranges::find(known, name) != known.end()) continue;
    if (name == "bias") {
      return FieldError(absl::StatusCode::kUnimplemented, "LAYER_UNSUPPORTED", "bias",
                        "a bias beside the quantized weights", "a linear without one");
    }
    return InvalidField("TENSOR_UNKNOWN", name, "a tensor beside those of a layer",
                        Joined(known, [](std::string_view one) { return std::string(one); }));
  }
  return absl::OkStatus();
}

absl::Status CheckInt4Matrix(const std::string& name, const HostTensor& tensor,
                             std::initializer_list<DType> dtypes,
                             const std::string& allowed_shape) {
  if (std::ranges::find(dtypes, tensor.dtype()) == dtypes.end()) {
    return InvalidField("TENSOR_DTYPE_UNSUPPORTED", name, DTypeName(tensor.dtype()),
                        Joined(dtypes, [](DType one) { return std::string(DTypeName(one)); }));
  }
  if (tensor.shape().size() == 2 && HasAsManyBytes(tensor)) return absl::OkStatus();
  return InvalidField("TENSOR_SHAPE_INVALID", name,
                      absl::StrCat(tensor.ShapeText(), " over ", tensor.bytes().size(), " bytes"),
                      allowed_shape);
}

absl::Status CheckInt4TensorShape(const std::string& name, const HostTensor& tensor,
                                  const std::vector<int64_t>& shape) {
  if (tensor.shape() == shape) return absl::OkStatus();
  return InvalidField("TENSOR_SHAPE_INVALID", name, tensor.ShapeText(), ShapeText(shape));
}

absl::Status CheckInt4Scales(const HostTensor& scales) {
  constexpr float kMost = 0x1p123F;  // 16 of it are a number of fp32
  const bool is_half = scales.dtype() == DType::kF16;
  const auto count = static_cast<int64_t>(scales.bytes().size() / sizeof(uint16_t));
  for (int64_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, scales.bytes().data() + i * sizeof(bits), sizeof(bits));
    const float scale = is_half ? HalfToFloat(bits) : Bfloat16ToFloat(bits);
    if (std::abs(scale) <= kMost) continue;
    const bool is_finite = std::isfinite(scale);
    return InvalidField(is_finite ? "TENSOR_VALUE_INVALID" : "TENSOR_NOT_FINITE", "scales",
                        absl::StrCat(scale, " at element ", i),
                        is_finite ? "magnitudes up to 2^123" : "finite values");
  }
  return absl::OkStatus();
}

}  // namespace qtipd
