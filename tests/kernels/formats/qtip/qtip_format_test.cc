#include "kernels/formats/qtip/qtip_format.h"

#include <gtest/gtest.h>

#include "kernels/api/error.h"
#include "kernels/formats/qtip/qtip_cpu_workspace.h"
#include "kernels/formats/qtip/qtip_incoherence.h"
#include "kernels/formats/qtip/qtip_layer.h"
#include "kernels/formats/qtip/qtip_panel_encoder.h"
#include "kernels/formats/qtip/qtip_reference.h"
#include "kernels/formats/qtip/qtip_table.h"
#include "tests/kernels/formats/qtip/golden_file.h"

namespace qtipd {
namespace {

// The golden linear as a checkpoint layer: Wscale folded into SV.
TensorMap GoldenLayer(const GoldenFile& golden, int bits) {
  std::vector<float> sv = golden.Floats("SV");
  for (float& sign : sv) sign *= golden.Floats(GoldenKey(bits, "Wscale"))[0];
  return {{"trellis", golden.Tensor(GoldenKey(bits, "trellis"))},
          {"SU", golden.Tensor("SU")},
          {"SV", HostTensor::Take(DType::kF32, {256}, sv)},
          {"tlut", golden.Tensor(GoldenKey(bits, "tlut_fp16"))}};
}

class GoldenImport : public testing::TestWithParam<int> {
 protected:
  const int bits_ = GetParam();
  const GoldenFile golden_{"qtip_ldlq"};
  const std::unique_ptr<WeightFormat> format_ = MakeQtipFormat();
  const absl::StatusOr<PackedLayer> layer_ = format_->Import(GoldenLayer(golden_, bits_), {});
};

TEST_P(GoldenImport, ReadsShapeAndOptionsOffTheTensors) {
  ASSERT_TRUE(layer_.ok()) << layer_.status();
  EXPECT_EQ(layer_->shape, (Shape{256, 256}));
  EXPECT_EQ(layer_->options.GetInt("bits"), bits_);
  EXPECT_EQ(layer_->options.GetString("code"), "hyb");
}

TEST_P(GoldenImport, DecodesToTheGoldenWeights) {
  const std::vector<float> weights = *format_->ReferenceWeights(*layer_);
  EXPECT_LT(MaxErrorOverRms(weights, golden_.Floats(GoldenKey(bits_, "W_hat_fp32"))), 5e-6);
}

TEST_P(GoldenImport, MultipliesAsTheGoldenLinear) {
  // Golden outputs were computed through fp16 activations: 3e-4 relative in the L2 norm.
  const std::vector<float> x = golden_.Floats("x");
  const std::vector<double> y = *format_->ReferenceMultiply(*layer_, x, 4);
  EXPECT_LT(MaxErrorOverRms(y, golden_.Floats(GoldenKey(bits_, "y_bs4_module_fp32"))), 2e-3);
  const std::vector<double> first(y.begin(), y.begin() + 256);
  EXPECT_LT(MaxErrorOverRms(first, golden_.Floats(GoldenKey(bits_, "y_bs1_fp32"))), 2e-3);
}

TEST_P(GoldenImport, MultipliesTrellisWeightsExactly) {
  const std::vector<float> u = golden_.Floats(GoldenKey(bits_, "x_rot_fp16"));
  const std::vector<float> weights = QtipTrellisWeights(*ParseQtipLayer(*layer_));
  std::vector<double> sums(256);
  for (int row = 0; row < 256; ++row) {
    for (int col = 0; col < 256; ++col) sums[row] += double{weights[row * 256 + col]} * u[col];
  }
  EXPECT_LT(MaxErrorOverRms(sums, golden_.Doubles(GoldenKey(bits_, "acc_bs1_fp64"))), 1e-12);
}

TEST_P(GoldenImport, RotatesActivationsAsTheGoldenLinear) {
  std::vector<float> u = golden_.Floats("x");
  u.resize(256);
  const std::vector<float> su = golden_.Floats("SU");
  for (int i = 0; i < 256; ++i) u[i] *= su[i];
  HadamardTransform(std::span(u), HadamardDirection::kTransposed);
  for (float& value : u) value = HalfToFloat(FloatToHalf(value / 32));
  EXPECT_LT(MaxErrorOverRms(u, golden_.Floats(GoldenKey(bits_, "x_rot_fp16"))), 2e-3);
}

TEST_P(GoldenImport, ExportsTheBytesItWasGiven) {
  const TensorMap exported = *format_->Export(*layer_);
  for (const auto& [name, tensor] : GoldenLayer(golden_, bits_)) {
    EXPECT_TRUE(std::ranges::equal(exported.at(name).bytes(), tensor.bytes())) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Bits, GoldenImport, testing::Values(2, 3, 4));

class QtipFormat : public testing::Test {
 protected:
  std::string Refusal(const TensorMap& tensors, const std::map<std::string, OptionValue>& given) {
    const auto layer = format_->Import(tensors, given);
    if (layer.ok()) return "accepted";
    ErrorInfo info = GetErrorInfo(layer.status());
    return info.reason + " " + info.metadata["field"];
  }

  const GoldenFile golden_{"qtip_ldlq"};
  const std::unique_ptr<WeightFormat> format_ = MakeQtipFormat();
};

TEST_F(QtipFormat, RecognisesItsLayers) {
  TensorMap tensors = GoldenLayer(golden_, 2);
  EXPECT_TRUE(format_->Recognises(tensors));
  tensors.erase("trellis");
  tensors.erase("SU");
  EXPECT_FALSE(format_->Recognises(tensors));
}

TEST_F(QtipFormat, RecognisesALayerThatLacksATensorAndNamesIt) {
  for (const char* name : {"trellis", "SU", "SV"}) {
    TensorMap tensors = GoldenLayer(golden_, 2);
    tensors.erase(name);
    EXPECT_TRUE(format_->Recognises(tensors)) << name;
    EXPECT_EQ(Refusal(tensors, {}), std::string("TENSOR_MISSING ") + name);
  }
}

TEST_F(QtipFormat, AsksForTheCodeWhereNoTableTellsIt) {
  TensorMap tensors = GoldenLayer(golden_, 2);
  tensors.erase("tlut");
  EXPECT_EQ(Refusal(tensors, {}), "CODE_REQUIRED code");
  const absl::Status status = format_->Import(tensors, {}).status();
  EXPECT_EQ(GetErrorInfo(status).metadata["allowed"],
            "one of hyb, 1mad, 2mad, 3inst, lut, quantlut");
  EXPECT_EQ(Refusal(tensors, {{"code", std::string("hyb")}}), "TENSOR_MISSING tlut");
}

TEST_F(QtipFormat, RefusesOptionsThatContradictTheTensors) {
  const TensorMap tensors = GoldenLayer(golden_, 2);
  EXPECT_EQ(Refusal(tensors, {{"bits", int64_t{2}}}), "accepted");
  EXPECT_EQ(Refusal(tensors, {{"bits", int64_t{3}}}), "OPTION_INVALID bits");
  EXPECT_EQ(Refusal(tensors, {{"sigma_reg", 0.5}}), "OPTION_INVALID sigma_reg");
  EXPECT_EQ(Refusal(tensors, {{"code", std::string("1mad")}}), "OPTION_INVALID code");
  EXPECT_EQ(Refusal(tensors, {{"code", std::string("4mad")}}), "OPTION_INVALID code");
  EXPECT_EQ(Refusal(tensors, {{"code", std::string("lut")}}), "TENSOR_SHAPE_INVALID tlut");
  EXPECT_EQ(Refusal(tensors, {{"vector_dim", int64_t{1}}}), "OPTION_INVALID vector_dim");
}

TEST_F(QtipFormat, ReadsOffWhetherTheTableLiesOnAGrid) {
  TensorMap tensors = GoldenLayer(golden_, 2);
  EXPECT_EQ(format_->Import(tensors, {})->options.GetString("codebook"), "fp16");
  EXPECT_EQ(Refusal(tensors, {{"codebook", std::string("int8")}}), "OPTION_INVALID codebook");
  tensors["tlut"] = HostTensor::Take(DType::kF16, {512, 2}, QtipInt8Table());
  EXPECT_EQ(format_->Import(tensors, {})->options.GetString("codebook"), "int8");
}

TEST_F(QtipFormat, LosesNoForeignTensor) {
  TensorMap tensors = GoldenLayer(golden_, 2);
  tensors["notes"] = tensors["SU"];
  EXPECT_EQ(Refusal(tensors, {}), "TENSOR_UNKNOWN notes");
}

TEST_F(QtipFormat, RefusesAStoredLayerWhoseShapeLies) {
  PackedLayer layer = *format_->Import(GoldenLayer(golden_, 2), {});
  layer.shape = {128, 512};
  EXPECT_EQ(GetErrorInfo(format_->Validate(layer)).reason, "SHAPE_MISMATCH");
}

TEST_F(QtipFormat, RefusesActivationsOfTheWrongLength) {
  const PackedLayer layer = *format_->Import(GoldenLayer(golden_, 2), {});
  const std::vector<float> x(255);
  EXPECT_EQ(GetErrorInfo(format_->ReferenceMultiply(layer, x, 1).status()).reason,
            "SHAPE_MISMATCH");
}

TEST_F(QtipFormat, CountsTheBytesOfThePublishedBenchmark) {
  // trellis + 4 n + 4 m + 2048 as published, and the two scalars of a checkpoint.
  const auto bytes = [&](int64_t bits) {
    return format_->PackedBytes(*CheckOptions(format_->schema(), {{"bits", bits}}), {4096, 4096});
  };
  EXPECT_EQ(bytes(2), 4229120u + 16);
  EXPECT_EQ(bytes(3), 6326272u + 16);
  EXPECT_EQ(bytes(4), 8423424u + 16);
}

// Beside W, H and the result, which QuantizeWorkspace includes.
TEST_F(QtipFormat, QuantizesOnTheCpuWithinAGibibyte) {
  for (const QtipCodeInfo& info : QtipCodes()) {
    for (const int64_t bits : {1, 2, 3, 4}) {
      for (const OptionValue& scale : {OptionValue(0.9), OptionValue(std::string("auto"))}) {
        const Options options = *CheckOptions(
            format_->schema(),
            {{"code", std::string(info.name)}, {"bits", bits}, {"scale_override", scale}});
        const QtipCodeSpec spec = *QtipSpecOf(options);
        for (const Shape shape : {Shape{4096, 4096}, Shape{28672, 8192}, Shape{53248, 16384},
                                  Shape{57344, 57344}, Shape{131072, 131072}}) {
          for (const int threads : {2, 16, 256}) {
            EXPECT_LE(QtipCpuWorkspaceBytes(spec, shape, true, scale != OptionValue(0.9), threads),
                      kQtipMostCpuWorkspace)
                << info.name << bits << " " << shape.in_features << " " << threads;
          }
        }
        EXPECT_GE(QtipSearchThreads(spec, 256, QtipEncoder::Batches::kMany), 16) << info.name;
      }
    }
  }
}

TEST_F(QtipFormat, BoundsTheWorkspace) {
  const Options options = *CheckOptions(format_->schema(), {});
  const Shape shape = {1024, 2048};
  const auto plain = format_->QuantizeWorkspace(options, shape, false, "cpu");
  const auto with_hessian = format_->QuantizeWorkspace(options, shape, true, "cpu");
  EXPECT_EQ(plain.device_bytes, 0u);
  EXPECT_GT(plain.host_bytes, format_->PackedBytes(options, shape));
  EXPECT_GT(with_hessian.host_bytes, format_->PackedBytes(options, shape));
  const auto on_gpu = format_->QuantizeWorkspace(options, shape, false, "cuda");
  EXPECT_EQ(on_gpu.host_bytes, format_->PackedBytes(options, shape));
  EXPECT_GT(on_gpu.device_bytes, 0u);
}

TEST_F(QtipFormat, RegistersWithItsCpuBackend) {
  Registry registry;
  Register_qtip_format(registry);
  EXPECT_TRUE(registry.FindFormat("qtip").ok());
  EXPECT_TRUE(registry.FindBackend("qtip", "cpu").ok());
}

}  // namespace
}  // namespace qtipd
