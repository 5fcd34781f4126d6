#include "kernels/api/dtype.h"

#include <array>
#include <bit>
#include <cassert>
#include <cstring>

namespace qtipd {
namespace {

struct Entry {
  DType dtype;
  std::string_view name;
  size_t size;
};

constexpr std::array<Entry, 13> kEntries = {{{DType::kBool, "BOOL", 1},
                                             {DType::kU8, "U8", 1},
                                             {DType::kI8, "I8", 1},
                                             {DType::kU16, "U16", 2},
                                             {DType::kI16, "I16", 2},
                                             {DType::kU32, "U32", 4},
                                             {DType::kI32, "I32", 4},
                                             {DType::kU64, "U64", 8},
                                             {DType::kI64, "I64", 8},
                                             {DType::kF16, "F16", 2},
                                             {DType::kBF16, "BF16", 2},
                                             {DType::kF32, "F32", 4},
                                             {DType::kF64, "F64", 8}}};

}  // namespace

size_t DTypeSize(DType dtype) { return kEntries[static_cast<size_t>(dtype)].size; }

std::string_view DTypeName(DType dtype) { return kEntries[static_cast<size_t>(dtype)].name; }

std::optional<DType> ParseDType(std::string_view name) {
  for (const Entry& entry : kEntries) {
    if (entry.name == name) return entry.dtype;
  }
  return std::nullopt;
}

uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) return sign | 0x7E00;   // NaN
  if (magnitude >= 0x477FF000) return sign | 0x7C00;  // rounds to infinity
  if (magnitude < 0x38800000) {                       // subnormal or zero
    // Adding 0.5 aligns the subnormal's last bit with the float's last bit, rounding to even.
    const float aligned = std::bit_cast<float>(magnitude) + 0.5f;
    return sign | static_cast<uint16_t>(std::bit_cast<uint32_t>(aligned) - 0x3F000000);
  }
  const uint32_t rounded = magnitude + 0xFFF + ((magnitude >> 13) & 1);
  return sign | static_cast<uint16_t>((rounded - 0x38000000) >> 13);
}

float HalfToFloat(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t magnitude = bits & 0x7FFF;
  if (magnitude >= 0x7C00) {  // infinity or NaN
    return std::bit_cast<float>(sign | 0x7F800000 | ((magnitude & 0x3FF) << 13));
  }
  if (magnitude < 0x400) {  // subnormal: an exact multiple of 2^-24
    const float value = static_cast<float>(magnitude) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(value));
  }
  return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000));
}

uint16_t FloatToBfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return static_cast<uint16_t>(bits >> 16) | 0x40;  // NaN
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

float Bfloat16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

namespace {

float Same(float value) { return value; }

// Every type is read as fp32, which holds all of its values, and written from there.
template <typename Source, typename Destination, float (*kRead)(Source),
          Destination (*kWrite)(float)>
void ConvertEach(void* dst, const void* src, int64_t count) {
  const auto* from = static_cast<const Source*>(src);
  auto* to = static_cast<Destination*>(dst);
  for (int64_t i = 0; i < count; ++i) to[i] = kWrite(kRead(from[i]));
}

template <typename Source, float (*kRead)(Source)>
void ConvertTo(void* dst, DType dst_dtype, const void* src, int64_t count) {
  switch (dst_dtype) {
    case DType::kF16:
      return ConvertEach<Source, uint16_t, kRead, FloatToHalf>(dst, src, count);
    case DType::kBF16:
      return ConvertEach<Source, uint16_t, kRead, FloatToBfloat16>(dst, src, count);
    default:
      return ConvertEach<Source, float, kRead, Same>(dst, src, count);
  }
}

}  // namespace

bool IsFloatDType(DType dtype) {
  return dtype == DType::kF16 || dtype == DType::kBF16 || dtype == DType::kF32;
}

void ConvertFloats(void* dst, DType dst_dtype, const void* src, DType src_dtype, int64_t count) {
  assert(IsFloatDType(dst_dtype) && IsFloatDType(src_dtype));
  if (dst_dtype == src_dtype) {
    if (count > 0) std::memcpy(dst, src, static_cast<size_t>(count) * DTypeSize(dst_dtype));
    return;
  }
  switch (src_dtype) {
    case DType::kF16:
      return ConvertTo<uint16_t, HalfToFloat>(dst, dst_dtype, src, count);
    case DType::kBF16:
      return ConvertTo<uint16_t, Bfloat16ToFloat>(dst, dst_dtype, src, count);
    default:
      return ConvertTo<float, Same>(dst, dst_dtype, src, count);
  }
}

std::vector<std::byte> EncodeFloats(std::span<const float> values, DType dtype) {
  std::vector<std::byte> bytes(values.size() * DTypeSize(dtype));
  ConvertFloats(bytes.data(), dtype, values.data(), DType::kF32,
                static_cast<int64_t>(values.size()));
  return bytes;
}

}  // namespace qtipd
