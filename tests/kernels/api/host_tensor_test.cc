#include "kernels/api/host_tensor.h"

#include <gtest/gtest.h>

#include <cstring>

namespace qtipd {
namespace {

TEST(HostTensor, KeepsItsBytesAlive) {
  HostTensor copy;
  {
    const HostTensor tensor = HostTensor::Take(DType::kF32, {2, 2}, std::vector<float>{1, 2, 3, 4});
    copy = tensor;
    EXPECT_EQ(copy.bytes().data(), tensor.bytes().data());  // shared, not duplicated
  }
  EXPECT_EQ(copy.ToFloat(), (std::vector<float>{1, 2, 3, 4}));
}

TEST(HostTensor, CopiesWhatItDoesNotOwn) {
  std::vector<std::byte> bytes(4, std::byte{1});
  const HostTensor tensor = HostTensor::Copy(DType::kU8, {4}, bytes);
  bytes[0] = std::byte{9};
  EXPECT_EQ(tensor.ToFloat(), std::vector<float>(4, 1));
}

TEST(HostTensor, KnowsItsShape) {
  const HostTensor tensor = HostTensor::Take(DType::kI16, {2, 3}, std::vector<int16_t>(6));
  EXPECT_EQ(tensor.element_count(), 6);
  EXPECT_EQ(tensor.ShapeText(), "[2, 3]");
  const HostTensor scalar = HostTensor::Take(DType::kI64, {}, std::vector<int64_t>{7});
  EXPECT_EQ(scalar.element_count(), 1);
  EXPECT_EQ(scalar.ShapeText(), "[]");
}

template <typename T>
std::vector<float> Converted(DType dtype, std::vector<T> values) {
  const auto count = static_cast<int64_t>(values.size());
  return HostTensor::Take(dtype, {count}, std::move(values)).ToFloat();
}

TEST(HostTensor, ConvertsEveryTypeToFloat) {
  const std::vector<float> expected = {0, 1};
  EXPECT_EQ(Converted<uint8_t>(DType::kBool, {0, 1}), expected);
  EXPECT_EQ(Converted<uint8_t>(DType::kU8, {0, 1}), expected);
  EXPECT_EQ(Converted<int8_t>(DType::kI8, {-1, 1}), (std::vector<float>{-1, 1}));
  EXPECT_EQ(Converted<uint16_t>(DType::kU16, {65535, 1}), (std::vector<float>{65535, 1}));
  EXPECT_EQ(Converted<int16_t>(DType::kI16, {-2, 1}), (std::vector<float>{-2, 1}));
  EXPECT_EQ(Converted<uint32_t>(DType::kU32, {0, 1}), expected);
  EXPECT_EQ(Converted<int32_t>(DType::kI32, {-3, 1}), (std::vector<float>{-3, 1}));
  EXPECT_EQ(Converted<uint64_t>(DType::kU64, {0, 1}), expected);
  EXPECT_EQ(Converted<int64_t>(DType::kI64, {-4, 1}), (std::vector<float>{-4, 1}));
  EXPECT_EQ(Converted<uint16_t>(DType::kF16, {0, 0x3C00}), expected);
  EXPECT_EQ(Converted<uint16_t>(DType::kBF16, {0, 0x3F80}), expected);
  EXPECT_EQ(Converted<float>(DType::kF32, {0, 1}), expected);
  EXPECT_EQ(Converted<double>(DType::kF64, {0, 1}), expected);
}

TEST(HostTensor, ReadsUnalignedBytes) {
  std::vector<std::byte> block(9);
  const float value = 2.5f;
  std::memcpy(block.data() + 1, &value, sizeof(value));
  const HostTensor tensor(DType::kF32, {1}, nullptr, std::span(block).subspan(1, 4));
  EXPECT_EQ(tensor.ToFloat(), std::vector<float>{2.5f});
}

}  // namespace
}  // namespace qtipd
