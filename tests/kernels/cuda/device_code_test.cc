// Which code of a module a GPU runs, and what is said where it has none.
#include "kernels/cuda/device_code.h"

#include <gmock/gmock.h>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

const std::vector<DeviceCode>& Release() {
  static const std::vector<DeviceCode> codes =
      ParseArchitectures("80-real,86-real,89-real,90-real,100-real,120-real,90-virtual");
  return codes;
}

std::string CodeFor(std::span<const DeviceCode> carried, int capability) {
  const auto code = FindDeviceCode(carried, capability, "GPU");
  return code.ok() ? code->ToString() : GetErrorInfo(code.status()).reason;
}

TEST(DeviceCode, IsReadFromCmakesNames) {
  EXPECT_EQ(DeviceCodeText(ParseArchitectures("80-real,90,120-virtual")),
            "sm_80, sm_90, compute_90, compute_120");
  EXPECT_EQ(DeviceCodeText(ParseArchitectures("")), "");
  EXPECT_EQ(DeviceCodeText(ParseArchitectures("native,90a-real,89-real")), "sm_89");
}

TEST(DeviceCode, OfAReleaseServesEveryGpuFromAmpereOn) {
  const std::pair<int, const char*> expected[] = {
      {80, "sm_80"},   {86, "sm_86"},   {87, "sm_86"},       {88, "sm_86"},
      {89, "sm_89"},   {90, "sm_90"},   {100, "sm_100"},     {103, "sm_100"},
      {120, "sm_120"}, {121, "sm_120"}, {110, "compute_90"}, {130, "compute_90"}};
  for (const auto& [capability, code] : expected) {
    EXPECT_EQ(CodeFor(Release(), capability), code) << capability;
  }
}

TEST(DeviceCode, OfOneArchitectureServesNoOther) {
  const std::vector<DeviceCode> one = ParseArchitectures("90-real");
  EXPECT_EQ(CodeFor(one, 90), "sm_90");
  for (int capability : {80, 89, 100, 120}) {
    EXPECT_EQ(CodeFor(one, capability), "DEVICE_CODE_MISSING") << capability;
  }
  EXPECT_EQ(CodeFor({}, 90), "DEVICE_CODE_MISSING");
}

TEST(DeviceCode, OfAnOlderMinorVersionServesANewerOneAndNotTheReverse) {
  EXPECT_EQ(CodeFor(ParseArchitectures("80-real"), 86), "sm_80");
  EXPECT_EQ(CodeFor(ParseArchitectures("86-real"), 80), "DEVICE_CODE_MISSING");
}

// Kernels of such PTX do not wait for the grid before them, which a GPU of 9.0 lets overlap.
TEST(DeviceCode, PtxOfBefore90DoesNotServeWhatHasClusters) {
  const std::vector<DeviceCode> both = ParseArchitectures("80");
  EXPECT_EQ(CodeFor(both, 89), "sm_80");
  EXPECT_EQ(CodeFor(ParseArchitectures("80-virtual"), 89), "compute_80");
  EXPECT_EQ(CodeFor(both, 90), "DEVICE_CODE_MISSING");
  EXPECT_EQ(CodeFor(both, 120), "DEVICE_CODE_MISSING");
}

TEST(DeviceCode, OlderGpusAreRefusedWhateverIsCarried) {
  EXPECT_EQ(CodeFor(ParseArchitectures("75-real,90-real"), 75), "DEVICE_UNSUPPORTED");
}

TEST(DeviceCode, ErrorsNameTheGpuWhatIsCarriedAndTheCure) {
  const auto code = FindDeviceCode(ParseArchitectures("80-real,90-real"), 120, "NVIDIA RTX 5090");
  ASSERT_FALSE(code.ok());
  EXPECT_EQ(code.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(std::string(code.status().message()),
            "compute capability of NVIDIA RTX 5090: got 12.0, allowed what this build has code for "
            "(sm_80, sm_90); build with CMAKE_CUDA_ARCHITECTURES=120-real");
}

TEST(DeviceCode, OfThisBuildIsNotEmpty) { EXPECT_FALSE(BuiltDeviceCode().empty()); }

}  // namespace
}  // namespace qtipd
