// Element types of tensors, with their safetensors names, and 16-bit float conversion on the host.
#ifndef QTIPD_KERNELS_API_DTYPE_H_
#define QTIPD_KERNELS_API_DTYPE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace qtipd {

enum class DType : uint8_t {
  kBool,
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kU64,
  kI64,
  kF16,
  kBF16,
  kF32,
  kF64
};

// Size of one element in bytes.
size_t DTypeSize(DType dtype);

// The safetensors spelling: "F16", "BF16", "F32", "I16", ...
std::string_view DTypeName(DType dtype);
std::optional<DType> ParseDType(std::string_view name);

// IEEE binary16 and bfloat16 conversions, round to nearest even; NaN stays NaN, overflow becomes
// infinity, subnormals are kept.
uint16_t FloatToHalf(float value);
float HalfToFloat(uint16_t bits);
uint16_t FloatToBfloat16(float value);
float Bfloat16ToFloat(uint16_t bits);

// Whether activations can be of `dtype`: F16, BF16 or F32.
bool IsFloatDType(DType dtype);

// `count` elements of `src` as elements of another of the float types, each rounded once as above;
// the memories do not overlap.
void ConvertFloats(void* dst, DType dst_dtype, const void* src, DType src_dtype, int64_t count);

// The values as elements of F16, BF16 or F32.
std::vector<std::byte> EncodeFloats(std::span<const float> values, DType dtype);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_DTYPE_H_
