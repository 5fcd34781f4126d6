#include "kernels/api/device.h"

#include <gtest/gtest.h>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

DeviceInfo Gpu() {
  DeviceInfo info;
  info.id = "cuda:0";
  info.compute_dtype = DType::kF16;
  return info;
}

TEST(ActivationDType, IsTheComputeDTypeUnlessNamed) {
  EXPECT_EQ(*ActivationDType(Gpu(), ""), DType::kF16);
  EXPECT_EQ(*ActivationDType(DeviceInfo(), ""), DType::kF32);
}

TEST(ActivationDType, MayBeTheComputeDTypeOrBf16) {
  EXPECT_EQ(*ActivationDType(Gpu(), "F16"), DType::kF16);
  EXPECT_EQ(*ActivationDType(Gpu(), "BF16"), DType::kBF16);
  EXPECT_EQ(*ActivationDType(DeviceInfo(), "BF16"), DType::kBF16);
}

TEST(ActivationDType, RefusesAnyOtherAndSaysWhatThereIs) {
  for (const char* name : {"F32", "I8", "F8", "bf16"}) {
    const ErrorInfo info = GetErrorInfo(ActivationDType(Gpu(), name).status());
    EXPECT_EQ(info.reason, "ACTIVATION_DTYPE_UNSUPPORTED");
    EXPECT_EQ(info.metadata.at("field"), "activation_dtype");
    EXPECT_EQ(info.metadata.at("got"), name);
    EXPECT_EQ(info.metadata.at("allowed"), "F16, BF16 on cuda:0");
  }
}

TEST(CheckConvertible, TakesTheFloatTypesAlone) {
  EXPECT_TRUE(CheckConvertible(DType::kBF16, DType::kF32).ok());
  EXPECT_EQ(GetErrorInfo(CheckConvertible(DType::kF64, DType::kF32)).reason, "DTYPE_UNSUPPORTED");
  EXPECT_EQ(GetErrorInfo(CheckConvertible(DType::kF32, DType::kI16)).metadata.at("got"), "I16");
}

}  // namespace
}  // namespace qtipd
