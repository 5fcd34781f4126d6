#include "client/layer_tensors.h"

#include <gtest/gtest.h>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

TensorMap Checkpoint() {
  TensorMap tensors;
  for (const char* name : {"layers.1.trellis", "layers.1.SU", "layers.10.trellis"}) {
    tensors[name] = HostTensor::Take(DType::kF32, {1}, std::vector<float>{1});
  }
  return tensors;
}

TEST(SelectLayer, TakesWholePathComponents) {
  for (const char* prefix : {"layers.1", "layers.1."}) {
    const auto layer = SelectLayer(Checkpoint(), prefix, "f");
    EXPECT_EQ(layer->prefix, "layers.1.");
    EXPECT_EQ(layer->tensors.size(), 2u);
    EXPECT_EQ(layer->tensors.count("layers.10.trellis"), 0u);
  }
}

TEST(SelectLayer, TakesEverythingWithoutAPrefix) {
  EXPECT_EQ(SelectLayer(Checkpoint(), "", "f")->tensors.size(), 3u);
}

TEST(SelectLayer, NamesNearPrefixes) {
  const absl::Status status = SelectLayer(Checkpoint(), "layers.2", "f").status();
  EXPECT_EQ(GetErrorInfo(status).reason, "PREFIX_NOT_FOUND");
  EXPECT_NE(status.message().find("layers.1."), std::string::npos);
}

}  // namespace
}  // namespace qtipd
