#include "kernels/api/dtype.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace qtipd {
namespace {

// The value of a binary16 from its fields.
double HalfValue(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int mantissa = bits & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

bool IsFiniteHalf(uint16_t bits) { return (bits & 0x7C00) != 0x7C00; }

TEST(Half, EveryFiniteValueSurvivesBothConversions) {
  for (int bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    if (!IsFiniteHalf(half)) continue;
    ASSERT_EQ(HalfToFloat(half), HalfValue(half)) << bits;
    ASSERT_EQ(FloatToHalf(HalfToFloat(half)), half) << bits;
  }
}

TEST(Half, RoundsToNearestEven) {
  for (int bits = 0; bits < 0x7BFF; ++bits) {
    const double low = HalfValue(static_cast<uint16_t>(bits));
    const double high = HalfValue(static_cast<uint16_t>(bits + 1));
    const auto middle = static_cast<float>((low + high) / 2);  // exact: one more bit
    ASSERT_EQ(FloatToHalf(middle), bits % 2 == 0 ? bits : bits + 1) << bits;
    ASSERT_EQ(FloatToHalf(std::nextafter(middle, 0.0f)), bits) << bits;
    ASSERT_EQ(FloatToHalf(std::nextafter(middle, 1e9f)), bits + 1) << bits;
  }
}

TEST(Half, OverflowsToInfinity) {
  EXPECT_EQ(FloatToHalf(65504.0f), 0x7BFF);
  EXPECT_EQ(FloatToHalf(65519.0f), 0x7BFF);
  EXPECT_EQ(FloatToHalf(65520.0f), 0x7C00);
  EXPECT_EQ(FloatToHalf(-1e30f), 0xFC00);
  EXPECT_EQ(FloatToHalf(std::numeric_limits<float>::infinity()), 0x7C00);
}

TEST(Half, KeepsNanAndInfinity) {
  for (int bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    if (IsFiniteHalf(half)) continue;
    const float value = HalfToFloat(half);
    ASSERT_EQ(std::isnan(value), (half & 0x3FF) != 0);
    ASSERT_EQ(std::signbit(value), (half & 0x8000) != 0);
  }
  EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(std::nanf("")))));
}

TEST(Bfloat16, RoundsToNearestEven) {
  EXPECT_EQ(FloatToBfloat16(1.0f), 0x3F80);
  EXPECT_EQ(FloatToBfloat16(std::bit_cast<float>(0x3F808000u)), 0x3F80);  // tie to even
  EXPECT_EQ(FloatToBfloat16(std::bit_cast<float>(0x3F818000u)), 0x3F82);  // tie to even
  EXPECT_EQ(FloatToBfloat16(std::bit_cast<float>(0x3F808001u)), 0x3F81);
  EXPECT_EQ(FloatToBfloat16(std::numeric_limits<float>::max()), 0x7F80);
  EXPECT_TRUE(std::isnan(Bfloat16ToFloat(FloatToBfloat16(std::nanf("")))));
}

TEST(Bfloat16, EveryValueSurvivesBothConversions) {
  for (int bits = 0; bits < 65536; ++bits) {
    const auto value = static_cast<uint16_t>(bits);
    if (std::isnan(Bfloat16ToFloat(value))) continue;
    ASSERT_EQ(FloatToBfloat16(Bfloat16ToFloat(value)), value);
  }
}

// The value of an element of one of the float types.
double ValueOf(const std::vector<std::byte>& bytes, DType dtype, size_t index) {
  if (dtype == DType::kF32) {
    float value;
    std::memcpy(&value, bytes.data() + 4 * index, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, bytes.data() + 2 * index, 2);
  return dtype == DType::kF16 ? HalfToFloat(bits) : Bfloat16ToFloat(bits);
}

constexpr DType kFloats[] = {DType::kF16, DType::kBF16, DType::kF32};

// A tie of BF16, one of F16, a number too small and one too large for F16, subnormals of both.
const std::vector<float> kNumbers = {1.00390625f, 1.00048828125f, 1e-8f, -70000.0f,
                                     6e-8f,       1e-39f,         -0.0f};

TEST(ConvertFloats, RoundsOnceBetweenAnyTwoTypes) {
  for (const DType from : kFloats) {
    const std::vector<std::byte> source = EncodeFloats(kNumbers, from);
    for (const DType to : kFloats) {
      std::vector<std::byte> got(kNumbers.size() * DTypeSize(to));
      ConvertFloats(got.data(), to, source.data(), from, static_cast<int64_t>(kNumbers.size()));
      for (size_t i = 0; i < kNumbers.size(); ++i) {
        const auto value = static_cast<float>(ValueOf(source, from, i));
        const double expected = to == DType::kF16    ? HalfToFloat(FloatToHalf(value))
                                : to == DType::kBF16 ? Bfloat16ToFloat(FloatToBfloat16(value))
                                                     : value;
        EXPECT_EQ(ValueOf(got, to, i), expected) << DTypeName(from) << " to " << DTypeName(to);
      }
    }
  }
}

TEST(ConvertFloats, WhatIsTooLargeForHalfBecomesInfinity) {
  const std::vector<std::byte> source =
      EncodeFloats(std::vector<float>{1e30f, -1e30f}, DType::kBF16);
  std::vector<std::byte> half(4);
  ConvertFloats(half.data(), DType::kF16, source.data(), DType::kBF16, 2);
  EXPECT_EQ(ValueOf(half, DType::kF16, 0), std::numeric_limits<double>::infinity());
  EXPECT_EQ(ValueOf(half, DType::kF16, 1), -std::numeric_limits<double>::infinity());
}

TEST(ConvertFloats, NanStaysNan) {
  for (const DType from : kFloats) {
    const std::vector<std::byte> source = EncodeFloats(std::vector<float>{std::nanf("")}, from);
    for (const DType to : kFloats) {
      std::vector<std::byte> got(DTypeSize(to));
      ConvertFloats(got.data(), to, source.data(), from, 1);
      EXPECT_TRUE(std::isnan(ValueOf(got, to, 0))) << DTypeName(from) << " to " << DTypeName(to);
    }
  }
}

TEST(ConvertFloats, LeavesTheRestAlone) {
  const std::vector<float> source(5, 1.0f);
  std::vector<uint16_t> got(6, 7);
  ConvertFloats(got.data(), DType::kBF16, source.data(), DType::kF32, 5);
  EXPECT_EQ(got, (std::vector<uint16_t>{0x3F80, 0x3F80, 0x3F80, 0x3F80, 0x3F80, 7}));
  ConvertFloats(got.data(), DType::kF16, source.data(), DType::kF32, 0);
  EXPECT_EQ(got[0], 0x3F80);
}

TEST(DType, NamesParseBack) {
  for (DType dtype :
       {DType::kBool, DType::kU8, DType::kI8, DType::kU16, DType::kI16, DType::kU32, DType::kI32,
        DType::kU64, DType::kI64, DType::kF16, DType::kBF16, DType::kF32, DType::kF64}) {
    EXPECT_EQ(ParseDType(DTypeName(dtype)), dtype);
  }
  EXPECT_EQ(ParseDType("F8"), std::nullopt);
  EXPECT_EQ(DTypeSize(DType::kBF16), 2u);
  EXPECT_EQ(DTypeSize(DType::kI64), 8u);
}

}  // namespace
}  // namespace qtipd
