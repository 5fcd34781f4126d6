#include "kernels/formats/qtip/qtip_model_config.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/formats/qtip/qtip_model_config_json.h"

namespace qtipd {
namespace {

using Json = QtipConfigJson;

// Writing JSON takes stack for every level.
constexpr int kMaxDepth = 50;

std::string Key(const std::string& name) { return std::string(kQtipParams) + "." + name; }

std::string Range(int64_t least, int64_t most) {
  return std::to_string(least) + " to " + std::to_string(most);
}

// The integer at `json[name]`, or `missing` where it is not there or null.
absl::StatusOr<int64_t> Integer(const Json& json, const std::string& name, const std::string& key,
                                std::pair<int64_t, int64_t> range, std::optional<int64_t> missing) {
  const std::string allowed = Range(range.first, range.second);
  const auto found = json.find(name);
  if (found == json.end() || found->is_null()) {
    if (missing) return *missing;
    return QtipConfigInvalid(key, "nothing", allowed);
  }
  if (!found->is_number_integer()) return QtipConfigInvalid(key, found->dump(), allowed);
  const bool is_huge =
      found->is_number_unsigned() && found->get<uint64_t>() > static_cast<uint64_t>(range.second);
  if (is_huge || found->get<int64_t>() < range.first || found->get<int64_t>() > range.second) {
    return QtipConfigInvalid(key, found->dump(), allowed);
  }
  return found->get<int64_t>();
}

absl::StatusOr<std::string> Text(const Json& params, const std::string& name,
                                 const std::string& allowed) {
  const auto found = params.find(name);
  if (found != params.end() && found->is_string()) return found->get<std::string>();
  return QtipConfigInvalid(Key(name), found == params.end() ? "nothing" : found->dump(), allowed);
}

absl::StatusOr<std::string> ReadCode(const Json& params) {
  std::string allowed;
  for (const auto& [mode, code] : kQtipDecodeModes) {
    allowed += (allowed.empty() ? "" : ", ") + std::string(mode);
  }
  QTIPD_ASSIGN_OR_RETURN(const std::string wanted, Text(params, "decode_mode", allowed));
  for (const auto& [mode, code] : kQtipDecodeModes) {
    if (mode == wanted) return std::string(code);
  }
  return QtipConfigInvalid(Key("decode_mode"), wanted, allowed);
}

absl::StatusOr<bool> Boolean(const Json& params, const std::string& name) {
  const auto found = params.find(name);
  if (found == params.end() || found->is_null()) return false;
  if (found->is_boolean()) return found->get<bool>();
  return QtipConfigInvalid(Key(name), found->dump(), "true, false");
}

absl::StatusOr<std::set<std::string>> ReadSkipList(const Json& params) {
  std::set<std::string> keys;
  const auto found = params.find("skip_list");
  if (found == params.end() || found->is_null()) return keys;
  const std::string allowed = "null, or names like \"0_q\"";
  if (!found->is_array()) return QtipConfigInvalid(Key("skip_list"), found->type_name(), allowed);
  for (const Json& item : *found) {
    if (!item.is_string()) return QtipConfigInvalid(Key("skip_list"), item.dump(), allowed);
    keys.insert(item.get<std::string>());
  }
  return keys;
}

int64_t MostVectorDim(const std::string& code) {
  return code == "lut" ? 8 : QtipDefaultVectorDim(code);
}

// What the keys say of each other.
absl::Status CheckTogether(const QtipModelConfig& config) {
  if (config.vector_dim < QtipDefaultVectorDim(config.code) ||
      config.vector_dim > MostVectorDim(config.code)) {
    return QtipConfigInvalid(Key("V"), std::to_string(config.vector_dim),
                             Range(QtipDefaultVectorDim(config.code), MostVectorDim(config.code)) +
                                 ", that of the decode_mode of code " + config.code);
  }
  int64_t most_bits = config.bits;
  for (const auto& [projection, bits] : config.bits_of_projection) {
    most_bits = std::max(most_bits, bits);
  }
  if (most_bits * config.vector_dim > config.state_bits) {
    return QtipConfigInvalid(Key("L"), std::to_string(config.state_bits),
                             "at least K V, " + std::to_string(most_bits * config.vector_dim));
  }
  if (config.code == "lut" && config.lut_bits != config.state_bits) {
    return QtipConfigInvalid(Key("tlut_bits"), std::to_string(config.lut_bits),
                             std::to_string(config.state_bits) + ", L, with decode_mode lut");
  }
  return absl::OkStatus();
}

}  // namespace

int64_t QtipDefaultVectorDim(const std::string& code) { return code == "hyb" ? 2 : 1; }

absl::Status QtipConfigInvalid(const std::string& key, std::string_view got,
                               std::string_view allowed) {
  return InvalidField("MODEL_CONFIG_INVALID", "config.json " + key, got, allowed);
}

absl::StatusOr<QtipConfigJson> ParseQtipConfigObject(const std::string& text) {
  bool is_too_deep = false;
  const auto on_event = [&](int depth, Json::parse_event_t, Json&) {
    is_too_deep |= depth > kMaxDepth;
    return depth <= kMaxDepth;
  };
  QtipConfigJson json = Json::parse(text, on_event, /*allow_exceptions=*/false);
  if (json.is_object() && !is_too_deep) return json;
  return QtipConfigInvalid("", is_too_deep ? "values within values without end" : "no JSON object",
                           "the config.json of a model");
}

std::optional<std::string> QtipProjectionOfKey(const std::string& key) {
  constexpr std::string_view kBegin = "K_";
  constexpr std::string_view kEnd = "_proj";
  if (!key.starts_with(kBegin) || !key.ends_with(kEnd)) return std::nullopt;
  if (key.size() <= kBegin.size() + kEnd.size()) return std::nullopt;
  return key.substr(kBegin.size(), key.size() - kBegin.size() - kEnd.size());
}

bool HasQuipParams(const std::string& config) {
  const absl::StatusOr<Json> json = ParseQtipConfigObject(config);
  return json.ok() && json->contains(kQtipParams) && json->at(kQtipParams).is_object();
}

absl::StatusOr<QtipModelConfig> ParseQtipModelConfig(const std::string& text) {
  QTIPD_ASSIGN_OR_RETURN(const Json json, ParseQtipConfigObject(text));
  const auto found = json.find(kQtipParams);
  if (found == json.end() || !found->is_object()) {
    return QtipConfigInvalid(kQtipParams, "nothing",
                             "an object, as models quantized by QTIP have it");
  }
  const Json& params = *found;
  QTIPD_ASSIGN_OR_RETURN(const std::string codebook, Text(params, "codebook", "bitshift"));
  if (codebook != "bitshift") return QtipConfigInvalid(Key("codebook"), codebook, "bitshift");
  QtipModelConfig config;
  QTIPD_ASSIGN_OR_RETURN(config.code, ReadCode(params));
  QTIPD_ASSIGN_OR_RETURN(config.state_bits, Integer(params, "L", Key("L"), {8, 16}, {}));
  QTIPD_ASSIGN_OR_RETURN(config.bits, Integer(params, "K", Key("K"), {1, 4}, {}));
  QTIPD_ASSIGN_OR_RETURN(config.vector_dim, Integer(params, "V", Key("V"), {1, 8}, {}));
  if (QtipCodeHasLut(config.code)) {
    QTIPD_ASSIGN_OR_RETURN(config.lut_bits,
                           Integer(params, "tlut_bits", Key("tlut_bits"), {1, 16}, {}));
  }
  for (const char* side : {"td_x", "td_y"}) {
    QTIPD_RETURN_IF_ERROR(
        Integer(params, side, Key(side), {kQtipConfigTile, kQtipConfigTile}, kQtipConfigTile)
            .status());
  }
  for (const auto& [key, value] : params.items()) {
    const std::optional<std::string> projection = QtipProjectionOfKey(key);
    if (!projection || value.is_null()) continue;
    QTIPD_ASSIGN_OR_RETURN(config.bits_of_projection[*projection],
                           Integer(params, key, Key(key), {1, 4}, {}));
  }
  QTIPD_ASSIGN_OR_RETURN(config.is_split, Boolean(params, "split_for_tp"));
  QTIPD_ASSIGN_OR_RETURN(config.skip_list, ReadSkipList(params));
  if (json.contains("num_hidden_layers")) {
    QTIPD_ASSIGN_OR_RETURN(config.layer_count, Integer(json, "num_hidden_layers",
                                                       "num_hidden_layers", {1, 100'000}, {}));
  }
  QTIPD_RETURN_IF_ERROR(CheckTogether(config));
  return config;
}

bool QtipCodeHasLut(const std::string& code) {
  return code == "hyb" || code == "quantlut" || code == "lut";
}

std::optional<QtipLinearName> ParseQtipLinearName(const std::string& prefix) {
  constexpr std::string_view kLayers = "model.layers.";
  constexpr std::string_view kProjection = "_proj.";
  if (!prefix.starts_with(kLayers) || !prefix.ends_with(kProjection)) return std::nullopt;
  QtipLinearName name;
  const char* begin = prefix.data() + kLayers.size();
  const char* end = prefix.data() + prefix.size();
  const auto number = std::from_chars(begin, end, name.layer);
  if (number.ec != std::errc() || name.layer < 0 || *number.ptr != '.') return std::nullopt;
  const size_t last = prefix.rfind('.', prefix.size() - 2) + 1;
  name.projection = prefix.substr(last, prefix.size() - last - kProjection.size());
  if (name.projection.empty()) return std::nullopt;
  return name;
}

}  // namespace qtipd
