#include "kernels/formats/int4/int4_model.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/formats/int4/int4_checkpoint.h"
#include "kernels/formats/int4/int4_options.h"
#include "kernels/io/checkpoint_directory.h"
#include "nlohmann/json.hpp"

namespace qtipd {
namespace {

using Json = nlohmann::ordered_json;  // keeps keys in their order

constexpr char kConfig[] = "quantization_config";
constexpr char kBias[] = "bias";
constexpr int kMaxDepth = 50;  // writing JSON takes stack for every level

absl::Status ConfigInvalid(const std::string& key, std::string_view got, std::string_view allowed) {
  return InvalidField("MODEL_CONFIG_INVALID", key.empty() ? "config.json" : "config.json " + key,
                      got, allowed);
}

absl::StatusOr<Json> ParseObject(const std::string& text) {
  bool is_too_deep = false;
  const auto on_event = [&](int depth, Json::parse_event_t, Json&) {
    is_too_deep |= depth > kMaxDepth;
    return depth <= kMaxDepth;
  };
  Json json = Json::parse(text, on_event, /*allow_exceptions=*/false);
  if (json.is_object() && !is_too_deep) return json;
  return ConfigInvalid("", is_too_deep ? "values within values without end" : "no JSON object",
                       "the config.json of a model");
}

// The text of a key in lower case, or `missing`; nothing where it is no text.
std::optional<std::string> Text(const Json& json, const char* key, const char* missing) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return missing;
  if (!found->is_string()) return std::nullopt;
  return absl::AsciiStrToLower(found->get<std::string>());
}

// One of `allowed`.
absl::StatusOr<std::string> Choice(const Json& json, const char* key, const char* missing,
                                   std::initializer_list<std::string_view> allowed) {
  const std::optional<std::string> text = Text(json, key, missing);
  if (text && std::ranges::find(allowed, *text) != allowed.end()) return *text;
  std::string names;
  for (const std::string_view name : allowed) {
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return ConfigInvalid(std::string(kConfig) + "." + key,
                       json.contains(key) ? json.at(key).dump() : "nothing", names);
}

absl::StatusOr<int64_t> Integer(const Json& json, const char* key,
                                std::initializer_list<int64_t> allowed) {
  const auto found = json.find(key);
  const bool is_integer = found != json.end() && found->is_number_integer();
  if (is_integer && std::ranges::find(allowed, found->get<int64_t>()) != allowed.end()) {
    return found->get<int64_t>();
  }
  std::string names;
  for (const int64_t value : allowed) names += (names.empty() ? "" : ", ") + std::to_string(value);
  return ConfigInvalid(std::string(kConfig) + "." + key,
                       found == json.end() ? "nothing" : found->dump(), names);
}

struct ModelFacts {
  bool is_awq = false;
  std::map<std::string, OptionValue> options;  // of every linear
};

absl::StatusOr<ModelFacts> ReadConfig(const std::string& text) {
  QTIPD_ASSIGN_OR_RETURN(Json json, ParseObject(text));
  Json& config = json[kConfig];
  if (!config.is_object()) {
    return ConfigInvalid(kConfig, config.is_null() ? "nothing" : config.dump(),
                         "an object, as models quantized by GPTQ or AWQ have it");
  }
  ModelFacts facts;
  QTIPD_ASSIGN_OR_RETURN(const std::string method,
                         Choice(config, "quant_method", "", {"gptq", "awq"}));
  facts.is_awq = method == "awq";
  QTIPD_RETURN_IF_ERROR(Integer(config, "bits", {4}).status());
  QTIPD_ASSIGN_OR_RETURN(const int64_t group_size,
                         Integer(config, "group_size", {32, 64, 128, kInt4PerChannel}));
  facts.options["group_size"] = group_size;
  if (facts.is_awq) {
    QTIPD_RETURN_IF_ERROR(Choice(config, "version", "gemm", {"gemm"}).status());
    facts.options["checkpoint_format"] = std::string(kInt4GptqV2);
  } else {
    QTIPD_ASSIGN_OR_RETURN(
        facts.options["checkpoint_format"],
        Choice(config, "checkpoint_format", kInt4GptqV1, {kInt4GptqV1, kInt4GptqV2}));
  }
  return facts;
}

// A status about a tensor of a linear, with the tensor's whole name.
absl::Status WithPrefix(const absl::Status& status, const std::string& prefix) {
  ErrorInfo info = GetErrorInfo(status);
  return FieldError(status.code(), info.reason, prefix + info.metadata["field"],
                    info.metadata["got"], info.metadata["allowed"]);
}

absl::Status CheckLinear(const ModelFacts& facts, const ModelLinear& linear) {
  const absl::StatusOr<bool> is_awq = CheckInt4CheckpointShapes(linear.tensors, linear.options);
  if (!is_awq.ok()) return WithPrefix(is_awq.status(), linear.prefix);
  if (*is_awq == facts.is_awq) return absl::OkStatus();
  return InvalidField(
      "MODEL_CONFIG_CONTRADICTS", std::string("config.json ") + kConfig + ".quant_method",
      facts.is_awq ? "awq" : "gptq",
      std::string(*is_awq ? "awq" : "gptq") + ", as " + linear.prefix + "qweight is packed");
}

}  // namespace

bool IsInt4ModelConfig(const std::string& config) {
  absl::StatusOr<Json> json = ParseObject(config);
  if (!json.ok() || !(*json)[kConfig].is_object()) return false;
  const std::optional<std::string> method = Text((*json)[kConfig], "quant_method", "");
  return method == "gptq" || method == "awq";
}

absl::StatusOr<ModelPlan> PlanInt4Model(const ModelCheckpoint& checkpoint) {
  QTIPD_ASSIGN_OR_RETURN(const ModelFacts facts, ReadConfig(checkpoint.config));
  ModelPlan plan;
  plan.other_tensors = checkpoint.absent_tensors;
  for (auto& [prefix, tensors] : GroupByLayer(checkpoint.tensors)) {
    if (!tensors.contains("qweight") && !tensors.contains("qzeros")) {
      for (const auto& [name, tensor] : tensors) plan.other_tensors.push_back(prefix + name);
      continue;
    }
    // A bias is added to what the linear gives, and no part of W.
    if (tensors.erase(kBias) > 0) plan.other_tensors.push_back(prefix + kBias);
    plan.linears.push_back({prefix, std::move(tensors), facts.options});
    QTIPD_RETURN_IF_ERROR(CheckLinear(facts, plan.linears.back()));
  }
  if (plan.linears.empty()) {
    return FieldError(absl::StatusCode::kNotFound, "LAYER_NOT_FOUND", "model",
                      "no tensor named qweight", "at least one quantized linear");
  }
  std::ranges::sort(plan.other_tensors);
  return plan;
}

absl::StatusOr<std::string> WriteInt4ModelConfig(const std::string& config,
                                                 const std::map<std::string, PackedLayer>& layers) {
  Json json = Json::object();
  if (!config.empty()) {
    QTIPD_ASSIGN_OR_RETURN(json, ParseObject(config));
  }
  const auto& [first_prefix, first] = *layers.begin();
  bool is_symmetric = true;
  for (const auto& [prefix, layer] : layers) {
    is_symmetric &= layer.options.GetBool("symmetric");
    for (const std::string option : {"group_size", "checkpoint_format"}) {
      const OptionValue& value = layer.options.values().at(option);
      if (value == first.options.values().at(option)) continue;
      return FieldError(
          absl::StatusCode::kFailedPrecondition, "MODEL_NOT_UNIFORM", option + " of " + prefix,
          OptionText(value),
          OptionText(first.options.values().at(option)) + ", as " + first_prefix + " has it");
    }
  }
  Json& quantization = json[kConfig];
  if (Text(quantization.is_object() ? quantization : Json::object(), "quant_method", "") !=
      "gptq") {
    quantization = Json::object();
  }
  quantization["quant_method"] = "gptq";
  quantization["bits"] = 4;
  quantization["group_size"] = first.options.GetInt("group_size");
  quantization["sym"] = is_symmetric;
  quantization["desc_act"] = false;
  quantization["checkpoint_format"] = first.options.GetString("checkpoint_format");
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace qtipd
