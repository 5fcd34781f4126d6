#include "kernels/formats/lut/lut_format.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/formats/lut/lut_test_layers.h"

namespace qtipd {
namespace {

TEST(LutFormat, RegistersWithItsCpuBackend) {
  Registry registry;
  Register_lut_format(registry);
  EXPECT_TRUE(registry.FindFormat("lut").ok());
  EXPECT_TRUE(registry.FindBackend("lut", "cpu").ok());
}

TEST(LutFormat, HasTheDefaultsOfItsDocumentation) {
  const Options options = LutOptions({});
  EXPECT_EQ(options.GetInt("bits"), 4);
  EXPECT_EQ(options.GetInt("block_size"), 64);
  EXPECT_EQ(options.GetString("codebook"), "kmeans");
  EXPECT_EQ(options.GetString("codebook_per"), "tensor");
  EXPECT_EQ(options.GetString("scale"), "absmax");
  EXPECT_EQ(options.GetString("scale_dtype"), "fp16");
}

TEST(LutFormat, CountsTheResultIntoTheWorkspace) {
  const auto format = MakeLutFormat();
  for (const bool has_hessian : {false, true}) {
    const auto workspace =
        format->QuantizeWorkspace(LutOptions({}), {1024, 2048}, has_hessian, "cpu");
    EXPECT_EQ(workspace.device_bytes, 0u);
    EXPECT_GT(workspace.host_bytes, format->PackedBytes(LutOptions({}), {1024, 2048}));
  }
}

}  // namespace
}  // namespace qtipd
