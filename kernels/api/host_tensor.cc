#include "kernels/api/host_tensor.h"

#include <cstring>

namespace qtipd {
namespace {

template <typename T, typename Convert>
std::vector<float> ConvertAll(std::span<const std::byte> bytes, Convert convert) {
  std::vector<float> values(bytes.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T element;  // the bytes of a mapped file may be unaligned
    std::memcpy(&element, bytes.data() + i * sizeof(T), sizeof(T));
    values[i] = convert(element);
  }
  return values;
}

template <typename T>
std::vector<float> CastAll(std::span<const std::byte> bytes) {
  return ConvertAll<T>(bytes, [](T value) { return static_cast<float>(value); });
}

}  // namespace

HostTensor::HostTensor(DType dtype, std::vector<int64_t> shape, std::shared_ptr<const void> owner,
                       std::span<const std::byte> bytes)
    : dtype_(dtype), shape_(std::move(shape)), owner_(std::move(owner)), bytes_(bytes) {}

HostTensor HostTensor::Copy(DType dtype, std::vector<int64_t> shape,
                            std::span<const std::byte> bytes) {
  return Take(dtype, std::move(shape), std::vector<std::byte>(bytes.begin(), bytes.end()));
}

int64_t HostTensor::element_count() const {
  return static_cast<int64_t>(bytes_.size() / DTypeSize(dtype_));
}

std::string HostTensor::ShapeText() const {
  std::string text = "[";
  for (size_t i = 0; i < shape_.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape_[i]);
  }
  return text + "]";
}

std::vector<float> HostTensor::ToFloat() const {
  switch (dtype_) {
    case DType::kBool:
    case DType::kU8:
      return CastAll<uint8_t>(bytes_);
    case DType::kI8:
      return CastAll<int8_t>(bytes_);
    case DType::kU16:
      return CastAll<uint16_t>(bytes_);
    case DType::kI16:
      return CastAll<int16_t>(bytes_);
    case DType::kU32:
      return CastAll<uint32_t>(bytes_);
    case DType::kI32:
      return CastAll<int32_t>(bytes_);
    case DType::kU64:
      return CastAll<uint64_t>(bytes_);
    case DType::kI64:
      return CastAll<int64_t>(bytes_);
    case DType::kF16:
      return ConvertAll<uint16_t>(bytes_, HalfToFloat);
    case DType::kBF16:
      return ConvertAll<uint16_t>(bytes_, Bfloat16ToFloat);
    case DType::kF32:
      return CastAll<float>(bytes_);
    case DType::kF64:
      return CastAll<double>(bytes_);
  }
  return {};
}

}  // namespace qtipd
