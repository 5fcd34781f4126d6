#include "kernels/formats/int4/int4_model.h"

#include <gtest/gtest.h>

#include "kernels/api/error.h"
#include "kernels/formats/int4/int4_format.h"

namespace qtipd {
namespace {

constexpr char kQ[] = "model.layers.0.self_attn.q_proj.";

HostTensor Zeros(DType dtype, std::vector<int64_t> shape) {
  int64_t count = 1;
  for (const int64_t side : shape) count *= side;
  const std::vector<std::byte> bytes(static_cast<size_t>(count) * DTypeSize(dtype));
  return HostTensor::Copy(dtype, std::move(shape), bytes);
}

std::string Config(const std::string& keys) {
  return R"({"hidden_size": 64, "quantization_config": {)" + keys + "}}";
}

class Int4Model : public testing::Test {
 protected:
  Int4Model() {
    AddLinear(kQ, false);
    model_.tensors["model.norm.weight"] = Zeros(DType::kF16, {64});
  }
  void AddLinear(const std::string& prefix, bool is_awq) {
    model_.tensors[prefix + "qweight"] =
        is_awq ? Zeros(DType::kI32, {128, 8}) : Zeros(DType::kI32, {16, 64});
    model_.tensors[prefix + "qzeros"] = Zeros(DType::kI32, {2, 8});
    model_.tensors[prefix + "scales"] = Zeros(DType::kF16, {2, 64});
    if (!is_awq) model_.tensors[prefix + "g_idx"] = Zeros(DType::kI32, {128});
  }
  // "REASON field", or "accepted".
  std::string Complaint() {
    const auto plan = PlanInt4Model(model_);
    if (plan.ok()) return "accepted";
    ErrorInfo info = GetErrorInfo(plan.status());
    return info.reason + " " + info.metadata["field"];
  }
  std::string ComplaintAbout(const std::string& keys) {
    model_.config = Config(keys);
    return Complaint();
  }

  static constexpr char kGptq[] = R"("quant_method": "gptq", "bits": 4, "group_size": 64)";
  ModelCheckpoint model_{.config = Config(kGptq), .tensors = {}, .absent_tensors = {}};
};

TEST_F(Int4Model, IsRecognisedByItsMethod) {
  EXPECT_TRUE(IsInt4ModelConfig(Config(kGptq)));
  EXPECT_TRUE(IsInt4ModelConfig(Config(R"("quant_method": "awq")")));
  EXPECT_FALSE(IsInt4ModelConfig(Config(R"("quant_method": "bitsandbytes")")));
  EXPECT_FALSE(IsInt4ModelConfig(R"({"quip_params": {}})"));
  EXPECT_FALSE(IsInt4ModelConfig("no JSON"));
}

TEST_F(Int4Model, FindsLinearsAndLeavesTheRest) {
  model_.tensors[std::string(kQ) + "bias"] = Zeros(DType::kF16, {64});
  model_.absent_tensors = {"lm_head.weight"};
  const auto plan = PlanInt4Model(model_);
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->linears.size(), 1u);
  EXPECT_EQ(plan->linears[0].prefix, kQ);
  EXPECT_EQ(plan->linears[0].tensors.size(), 4u);
  EXPECT_EQ(
      plan->other_tensors,
      (std::vector<std::string>{"lm_head.weight", std::string(kQ) + "bias", "model.norm.weight"}));
  const auto layer = MakeInt4Format()->Import(
      [&] {
        TensorMap tensors = plan->linears[0].tensors;
        tensors.erase("g_idx");  // zeros are no order
        return tensors;
      }(),
      plan->linears[0].options);
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ(layer->options.GetString("checkpoint_format"), "gptq");
}

TEST_F(Int4Model, ReadsModelsOfAwq) {
  model_.tensors.clear();
  AddLinear(kQ, true);
  EXPECT_EQ(ComplaintAbout(R"("quant_method": "awq", "bits": 4, "group_size": 64,
                              "version": "GEMM", "zero_point": true)"),
            "accepted");
  EXPECT_EQ(ComplaintAbout(R"("quant_method": "awq", "bits": 4, "group_size": 64,
                              "version": "gemv")"),
            "MODEL_CONFIG_INVALID config.json quantization_config.version");
  EXPECT_EQ(ComplaintAbout(kGptq),
            "MODEL_CONFIG_CONTRADICTS config.json quantization_config.quant_method");
}

TEST_F(Int4Model, NamesTheKeyThatItCannotTake) {
  const std::string invalid = "MODEL_CONFIG_INVALID config.json quantization_config";
  EXPECT_EQ(ComplaintAbout(R"("quant_method": "gptq", "bits": 8, "group_size": 64)"),
            invalid + ".bits");
  EXPECT_EQ(ComplaintAbout(R"("quant_method": "gptq", "group_size": 64)"), invalid + ".bits");
  EXPECT_EQ(ComplaintAbout(R"("quant_method": "gptq", "bits": 4, "group_size": 48)"),
            invalid + ".group_size");
  EXPECT_EQ(ComplaintAbout(std::string(kGptq) + R"(, "checkpoint_format": "marlin")"),
            invalid + ".checkpoint_format");
  EXPECT_EQ(ComplaintAbout(R"("quant_method": 3, "bits": 4)"), invalid + ".quant_method");
  EXPECT_EQ(ComplaintAbout(R"("bits": 4)"), invalid + ".quant_method");
  model_.config = R"({"quantization_config": 3})";
  EXPECT_EQ(Complaint(), invalid);
  model_.config = std::string(1000, '[');
  EXPECT_EQ(Complaint(), "MODEL_CONFIG_INVALID config.json");
}

TEST_F(Int4Model, NamesTheTensorThatDoesNotFit) {
  EXPECT_EQ(ComplaintAbout(R"("quant_method": "gptq", "bits": 4, "group_size": 128)"),
            "OPTION_INVALID " + std::string(kQ) + "group_size");
  model_.config = Config(kGptq);
  model_.tensors[std::string(kQ) + "qzeros"] = Zeros(DType::kI32, {2, 9});
  EXPECT_EQ(Complaint(), "TENSOR_SHAPE_INVALID " + std::string(kQ) + "qzeros");
  model_.tensors.erase(std::string(kQ) + "qzeros");
  EXPECT_EQ(Complaint(), "TENSOR_MISSING " + std::string(kQ) + "qzeros");
  model_.tensors = {{"model.norm.weight", Zeros(DType::kF16, {64})}};
  EXPECT_EQ(Complaint(), "LAYER_NOT_FOUND model");
}

TEST_F(Int4Model, WritesAConfigThatItReads) {
  TensorMap tensors;
  for (const auto& [name, tensor] : model_.tensors) {
    if (name.starts_with(kQ) && !name.ends_with("g_idx")) {
      tensors[name.substr(std::string(kQ).size())] = tensor;
    }
  }
  const auto format = MakeInt4Format();
  std::map<std::string, PackedLayer> layers;
  layers[kQ] = *format->Import(tensors, {});
  for (const std::string& before : {std::string(), Config(R"("quant_method": "awq", "w": 1)"),
                                    Config(R"("quant_method": "gptq", "damp_percent": 0.1)")}) {
    const auto written = format->ModelConfig(before, layers);
    ASSERT_TRUE(written.ok()) << written.status();
    EXPECT_TRUE(format->RecognisesModel(*written)) << *written;
    EXPECT_EQ(written->find("damp_percent") != std::string::npos,
              before.find("damp_percent") != std::string::npos);
    EXPECT_EQ(written->find("\"w\""), std::string::npos);
    model_.config = *written;
    EXPECT_EQ(Complaint(), "accepted");
  }
  layers["other."] = *format->Import(tensors, {{"checkpoint_format", std::string("gptq_v2")}});
  EXPECT_EQ(GetErrorInfo(format->ModelConfig("", layers).status()).reason, "MODEL_NOT_UNIFORM");
}

}  // namespace
}  // namespace qtipd
