#include "kernels/formats/qtip/qtip_checkpoint.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/formats/qtip/qtip_model_config.h"

namespace qtipd {
namespace {

constexpr char kQ0[] = "model.layers.0.self_attn.q_proj.";
constexpr char kDown0[] = "model.layers.0.mlp.down_proj.";

HostTensor Zeros(DType dtype, std::vector<int64_t> shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  const std::vector<std::byte> bytes(static_cast<size_t>(count) * DTypeSize(dtype));
  return HostTensor::Copy(dtype, std::move(shape), bytes);
}

HostTensor Integer(int64_t value) {
  return HostTensor::Take(DType::kI64, {}, std::vector<int64_t>{value});
}

// "quip_params" of code hyb at 2 bits, with keys replaced or added.
std::string Config(const std::map<std::string, std::string>& changes = {},
                   const std::string& beside = "") {
  std::map<std::string, std::string> params = {
      {"codebook", "\"bitshift\""},        {"L", "16"},       {"K", "2"}, {"V", "2"},
      {"decode_mode", "\"quantlut_sym\""}, {"tlut_bits", "9"}};
  for (const auto& [key, value] : changes) params[key] = value;
  std::string text;
  for (const auto& [key, value] : params) {
    if (!value.empty()) text += (text.empty() ? "" : ", ") + ("\"" + key + "\": ") + value;
  }
  return "{" + beside + "\"quip_params\": {" + text + "}}";
}

void AddLinear(const std::string& prefix, int64_t out, int64_t in, int64_t bits,
               TensorMap& tensors) {
  tensors[prefix + "trellis"] = Zeros(DType::kI16, {out * in / 256, 16 * bits});
  tensors[prefix + "SU"] = Zeros(DType::kF16, {in});
  tensors[prefix + "SV"] = Zeros(DType::kF32, {out});
  tensors[prefix + "tlut"] = Zeros(DType::kF16, {512, 2});
}

class QtipCheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    AddLinear(kQ0, 64, 32, 2, model_.tensors);
    AddLinear(kDown0, 32, 128, 2, model_.tensors);
    model_.tensors["model.norm.weight"] = Zeros(DType::kF16, {32});
  }
  absl::StatusOr<ModelPlan> Plan() { return PlanQtipModel(model_); }
  ErrorInfo Error() { return GetErrorInfo(Plan().status()); }
  // "REASON field"
  std::string Complaint() {
    ErrorInfo info = Error();
    return info.reason + " " + info.metadata["field"];
  }

  ModelCheckpoint model_{.config = Config(), .tensors = {}, .absent_tensors = {}};
};

TEST_F(QtipCheckpointTest, FindsLinearsWithTheirOptions) {
  model_.absent_tensors = {"lm_head.weight"};
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->linears.size(), 2u);
  EXPECT_EQ(plan->linears[0].prefix, kDown0);
  EXPECT_EQ(plan->linears[1].prefix, kQ0);
  EXPECT_EQ(std::get<std::string>(plan->linears[0].options.at("code")), "hyb");
  EXPECT_EQ(std::get<int64_t>(plan->linears[0].options.at("bits")), 2);
  EXPECT_EQ(plan->linears[0].tensors.size(), 4u);
  EXPECT_EQ(plan->other_tensors, (std::vector<std::string>{"lm_head.weight", "model.norm.weight"}));
}

TEST_F(QtipCheckpointTest, ABiasIsNamedAndNoPartOfItsLinear) {
  model_.tensors[std::string(kQ0) + "bias"] = Zeros(DType::kF16, {64});
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->linears[1].prefix, kQ0);
  EXPECT_EQ(plan->linears[1].tensors.size(), 4u);
  EXPECT_EQ(plan->other_tensors,
            (std::vector<std::string>{std::string(kQ0) + "bias", "model.norm.weight"}));
}

TEST_F(QtipCheckpointTest, ABiasOfAnOrdinaryLinearSaysNothingOfTheOthers) {
  AddLinear("model.layers.1.self_attn.q_proj.", 64, 32, 2, model_.tensors);
  AddLinear("model.layers.1.mlp.down_proj.", 32, 128, 2, model_.tensors);
  model_.config = Config({{"skip_list", "[\"0_o\"]"}});
  model_.tensors["model.layers.0.self_attn.o_proj.weight"] = Zeros(DType::kF16, {64, 64});
  model_.tensors["model.layers.0.self_attn.o_proj.bias"] = Zeros(DType::kF16, {64});
  EXPECT_TRUE(Plan().ok()) << Plan().status();
}

TEST_F(QtipCheckpointTest, RefusesATensorThatItDoesNotKnow) {
  for (const char* name : {"Wscale", "weight", "SU2"}) {
    const std::string tensor = kQ0 + std::string(name);
    model_.tensors[tensor] = Zeros(DType::kF32, {1});
    EXPECT_EQ(Complaint(), "TENSOR_UNKNOWN " + tensor);
    model_.tensors.erase(tensor);
  }
}

TEST_F(QtipCheckpointTest, AProjectionMayHaveARateOfItsOwn) {
  AddLinear(kDown0, 32, 128, 4, model_.tensors);
  EXPECT_EQ(Complaint(), "MODEL_CONFIG_CONTRADICTS config.json quip_params.K");
  model_.config = Config({{"K_down_proj", "4"}});
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(std::get<int64_t>(plan->linears[0].options.at("bits")), 4);
  EXPECT_EQ(std::get<int64_t>(plan->linears[1].options.at("bits")), 2);
}

TEST_F(QtipCheckpointTest, AMissingRcpFollowsFromTheProjectionOfASplitModel) {
  model_.config = Config({{"split_for_tp", "true"}});
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->linears[0].tensors.at("rcp").ToFloat(), std::vector<float>{1});  // down: rows
  EXPECT_EQ(plan->linears[1].tensors.at("rcp").ToFloat(), std::vector<float>{2});  // q: columns
  model_.config = Config();
  EXPECT_FALSE(Plan()->linears[0].tensors.contains("rcp"));
}

TEST_F(QtipCheckpointTest, TheSplitMustDivideItsSide) {
  model_.config = Config({{"split_for_tp", "true"}});
  model_.tensors[std::string(kDown0) + "tp_rank"] = Integer(48);
  EXPECT_EQ(Complaint(), "TENSOR_VALUE_INVALID " + std::string(kDown0) + "tp_rank");
  EXPECT_EQ(Error().metadata["allowed"], "a divisor of the in_features, 128");
  model_.tensors[std::string(kDown0) + "tp_rank"] = Integer(0);
  EXPECT_EQ(Complaint(), "TENSOR_VALUE_INVALID " + std::string(kDown0) + "tp_rank");
}

TEST_F(QtipCheckpointTest, RcpAndSplitForTpAgree) {
  model_.tensors[std::string(kQ0) + "rcp"] = Integer(2);
  EXPECT_EQ(Complaint(), "MODEL_CONFIG_CONTRADICTS config.json quip_params.split_for_tp");
  model_.config = Config({{"split_for_tp", "true"}});
  EXPECT_TRUE(Plan().ok());
  model_.tensors[std::string(kQ0) + "rcp"] = Integer(0);
  EXPECT_EQ(Complaint(), "MODEL_CONFIG_CONTRADICTS config.json quip_params.split_for_tp");
}

TEST_F(QtipCheckpointTest, CodesWithoutATableHaveNone) {
  model_.config = Config({{"decode_mode", "\"1mad\""}, {"V", "1"}});
  EXPECT_EQ(Complaint(), "MODEL_CONFIG_CONTRADICTS config.json quip_params.decode_mode");
  for (const char* prefix : {kQ0, kDown0}) model_.tensors.erase(std::string(prefix) + "tlut");
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(std::get<std::string>(plan->linears[0].options.at("code")), "1mad");
  model_.config = Config();
  EXPECT_EQ(Complaint(), "TENSOR_MISSING " + std::string(kDown0) + "tlut");
}

TEST_F(QtipCheckpointTest, ATableHasTheSizeThatTheConfigSays) {
  model_.config = Config({{"decode_mode", "\"lut\""}, {"tlut_bits", "16"}});
  EXPECT_EQ(Complaint(), "TENSOR_SHAPE_INVALID " + std::string(kDown0) + "tlut");
  EXPECT_EQ(Error().metadata["allowed"], "[65536, 2], as quip_params has tlut_bits = 16 and V = 2");
  for (const char* prefix : {kQ0, kDown0}) {
    model_.tensors[std::string(prefix) + "tlut"] = Zeros(DType::kF16, {65536, 2});
  }
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(std::get<int64_t>(plan->linears[0].options.at("vector_dim")), 2);
  EXPECT_FALSE(plan->linears[0].options.contains("state_bits"));
}

TEST_F(QtipCheckpointTest, AShorterWindowIsAnOption) {
  model_.config = Config({{"L", "12"}});
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(std::get<int64_t>(plan->linears[0].options.at("state_bits")), 12);
  EXPECT_FALSE(plan->linears[0].options.contains("vector_dim"));
}

TEST_F(QtipCheckpointTest, NamesTheTensorThatDoesNotFit) {
  const std::string trellis = std::string(kQ0) + "trellis";
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{8, 31}, {7, 32}, {256}, {8, 80}, {8, 0}}) {
    model_.tensors[trellis] = Zeros(DType::kI16, shape);
    EXPECT_EQ(Complaint(), "TENSOR_SHAPE_INVALID " + trellis);
  }
  model_.tensors[trellis] = Zeros(DType::kI32, {8, 32});
  EXPECT_EQ(Complaint(), "TENSOR_DTYPE_UNSUPPORTED " + trellis);
  model_.tensors.erase(trellis);
  EXPECT_EQ(Complaint(), "TENSOR_MISSING " + trellis);
  AddLinear(kQ0, 64, 32, 2, model_.tensors);
  model_.tensors[std::string(kQ0) + "SV"] = Zeros(DType::kF32, {24});
  EXPECT_EQ(Complaint(), "TENSOR_SHAPE_INVALID " + std::string(kQ0) + "SV");
}

TEST_F(QtipCheckpointTest, APlainProjectionMustBeOnTheSkipList) {
  const std::string up = "model.layers.0.mlp.up_proj.weight";
  model_.tensors[up] = Zeros(DType::kF16, {64, 32});
  EXPECT_EQ(Complaint(), "MODEL_LAYER_UNQUANTIZED " + up);
  model_.config = Config({{"skip_list", "[\"0_up\"]"}});
  EXPECT_TRUE(Plan().ok());
  model_.tensors.erase(up);
  model_.config = Config({{"skip_list", "null"}});
  model_.absent_tensors = {up};
  EXPECT_EQ(Complaint(), "MODEL_LAYER_UNQUANTIZED " + up);
  model_.config = Config({{"skip_list", "[\"0_up\", \"0_q\"]"}});
  EXPECT_EQ(Complaint(), "MODEL_CONFIG_CONTRADICTS config.json quip_params.skip_list");
}

TEST_F(QtipCheckpointTest, AProjectionThatOneLayerLacksIsMissed) {
  AddLinear("model.layers.1.mlp.down_proj.", 32, 128, 2, model_.tensors);
  EXPECT_EQ(Complaint(), "MODEL_LAYER_UNQUANTIZED linear 1_q");
  model_.config = Config({{"skip_list", "[\"1_q\"]"}});
  EXPECT_TRUE(Plan().ok());
  model_.config = Config();
  model_.absent_tensors = {"model.layers.1.self_attn.q_proj.trellis"};  // elsewhere
  EXPECT_TRUE(Plan().ok());
}

TEST_F(QtipCheckpointTest, ALayerBeyondTheModelIsAContradiction) {
  for (const char* projection : {"self_attn.q_proj.", "mlp.down_proj."}) {
    AddLinear("model.layers.3." + std::string(projection), 64, 32, 2, model_.tensors);
  }
  model_.config = Config({}, "\"num_hidden_layers\": 3, ");
  EXPECT_EQ(Complaint(), "MODEL_CONFIG_CONTRADICTS config.json num_hidden_layers");
  model_.config = Config({}, "\"num_hidden_layers\": 4, ");
  EXPECT_TRUE(Plan().ok());
}

TEST_F(QtipCheckpointTest, NamesTheKeyThatMakesNoSense) {
  const auto complaint = [&](const std::string& key, const std::string& value) {
    model_.config = Config({{key, value}});
    return Complaint();
  };
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"L", "7"},
                                                        {"L", ""},
                                                        {"K", "5"},
                                                        {"K", "2.5"},
                                                        {"K", "18446744073709551615"},
                                                        {"V", "1"},
                                                        {"td_x", "8"},
                                                        {"tlut_bits", ""},
                                                        {"codebook", "\"E8P12\""},
                                                        {"decode_mode", "\"5mad\""},
                                                        {"split_for_tp", "1"},
                                                        {"skip_list", "[0]"},
                                                        {"K_v_proj", "0"}}) {
    EXPECT_EQ(complaint(key, value), "MODEL_CONFIG_INVALID config.json quip_params." + key)
        << value;
  }
  const std::string deep(100'000, '[');
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{}"), std::string("{\"quip_params\": 1}"),
        std::string("nonsense"), "{\"quip_params\": {\"K\": " + deep}) {
    model_.config = text;
    EXPECT_EQ(Error().reason, "MODEL_CONFIG_INVALID") << text;
    EXPECT_FALSE(HasQuipParams(text)) << text;
  }
}

TEST_F(QtipCheckpointTest, RefusesAConfigThatIsNestedWithoutEnd) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  model_.config = Config({{"K", deep}});
  EXPECT_EQ(Complaint(), "MODEL_CONFIG_INVALID config.json ");
  EXPECT_EQ(
      GetErrorInfo(WriteQtipModelConfig(model_.config, {{kQ0, PackedLayer{}}}).status()).reason,
      "MODEL_CONFIG_INVALID");
}

TEST_F(QtipCheckpointTest, AModelWithoutQuantizedLinearsIsNone) {
  model_.tensors = {{"model.norm.weight", Zeros(DType::kF16, {32})}};
  EXPECT_EQ(Error().reason, "LAYER_NOT_FOUND");
}

// ---- Writing ----

PackedLayer Layer(int64_t bits, const std::string& code = "hyb") {
  TensorMap tensors;
  AddLinear("", 32, 32, bits, tensors);
  return {"qtip", Options({{"bits", bits}, {"code", code}}), {32, 32}, std::move(tensors)};
}

TEST(QtipModelConfig, IsReadBackAsItWasWritten) {
  const auto text = WriteQtipModelConfig(
      "", {{kQ0, Layer(2)}, {kDown0, Layer(4)}, {"model.layers.0.mlp.up_proj.", Layer(2)}});
  ASSERT_TRUE(text.ok()) << text.status();
  const auto config = ParseQtipModelConfig(*text);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->bits, 2);
  EXPECT_EQ(config->bits_of_projection, (std::map<std::string, int64_t>{{"down", 4}}));
  EXPECT_EQ(config->code, "hyb");
  EXPECT_EQ(config->lut_bits, 9);
  EXPECT_EQ(config->vector_dim, 2);
  EXPECT_FALSE(config->is_split);
}

TEST(QtipModelConfig, WindowAndStepAreThoseOfTheOptionsOrTheCode) {
  const auto write = [](std::map<std::string, OptionValue> more) {
    PackedLayer layer = Layer(2, "1mad");
    layer.tensors.erase("tlut");
    std::map<std::string, OptionValue> options = layer.options.values();
    options.merge(more);
    layer.options = Options(options);
    return *ParseQtipModelConfig(*WriteQtipModelConfig("", {{kQ0, layer}}));
  };
  EXPECT_EQ(write({}).vector_dim, 1);
  EXPECT_EQ(write({{"vector_dim", int64_t{0}}}).vector_dim, 1);
  EXPECT_EQ(write({{"state_bits", int64_t{12}}}).state_bits, 12);
  PackedLayer lut = Layer(2, "lut");
  lut.tensors["tlut"] = Zeros(DType::kF16, {1024, 2});
  const auto config = ParseQtipModelConfig(*WriteQtipModelConfig("", {{kQ0, lut}}));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->state_bits, 10);
  EXPECT_EQ(config->lut_bits, 10);
  EXPECT_EQ(config->vector_dim, 2);
}

TEST(QtipModelConfig, KeepsWhatItDoesNotOwn) {
  const auto text = WriteQtipModelConfig(
      R"({"hidden_size": 32, "quip_params": {"K": 4, "K_v_proj": 3, "skip_list": ["1_q"], "fused": true}})",
      {{kQ0, Layer(2)}});
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_NE(text->find("\"hidden_size\": 32"), std::string::npos);
  EXPECT_NE(text->find("\"fused\": true"), std::string::npos);
  EXPECT_EQ(text->find("K_v_proj"), std::string::npos);
  EXPECT_EQ(ParseQtipModelConfig(*text)->skip_list, std::set<std::string>{"1_q"});
}

TEST(QtipModelConfig, CannotTellTwoRatesOfAProjectionOrTwoCodes) {
  const auto reason = [](const std::map<std::string, PackedLayer>& layers) {
    return GetErrorInfo(WriteQtipModelConfig("", layers).status()).reason;
  };
  const std::string q1 = "model.layers.1.self_attn.q_proj.";
  EXPECT_EQ(reason({{kQ0, Layer(2)}, {q1, Layer(3)}}), "MODEL_NOT_UNIFORM");
  EXPECT_EQ(reason({{kQ0, Layer(2)}, {kDown0, Layer(2, "1mad")}}), "MODEL_NOT_UNIFORM");
  PackedLayer split = Layer(2);
  split.tensors["rcp"] = Integer(1);
  EXPECT_EQ(reason({{kQ0, Layer(2)}, {kDown0, split}}), "MODEL_NOT_UNIFORM");
  EXPECT_TRUE(ParseQtipModelConfig(*WriteQtipModelConfig("", {{kDown0, split}}))->is_split);
}

TEST(QtipModelConfig, KnowsWhereALinearStands) {
  const auto name = ParseQtipLinearName("model.layers.12.self_attn.o_proj.");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->layer, 12);
  EXPECT_EQ(name->SkipKey(), "12_o");
  for (const char* other : {"model.norm.", "model.layers.x.q_proj.", "model.layers.1.mlp.",
                            "lm_head.", "model.layers.1", "model.layers.1.mlp._proj.", ""}) {
    EXPECT_FALSE(ParseQtipLinearName(other).has_value()) << other;
  }
}

}  // namespace
}  // namespace qtipd
