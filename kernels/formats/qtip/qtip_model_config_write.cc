#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "kernels/api/error.h"
#include "kernels/api/status.h"
#include "kernels/formats/qtip/qtip_model_config.h"
#include "kernels/formats/qtip/qtip_model_config_json.h"

namespace qtipd {
namespace {

using Json = QtipConfigJson;

absl::Status NotUniform(const std::string& field, const std::string& got,
                        const std::string& allowed) {
  return FieldError(absl::StatusCode::kFailedPrecondition, "MODEL_NOT_UNIFORM", field, got,
                    allowed);
}

// Where there is no such option, or it is 0 and means the default.
int64_t IntegerOption(const Options& options, const std::string& name, int64_t missing) {
  const int64_t value = options.values().contains(name) ? options.GetInt(name) : 0;
  return value == 0 ? missing : value;
}

// What one layer says of its model.
struct LayerFacts {
  int64_t bits = 0;
  std::string code;
  int64_t state_bits = kQtipDefaultStateBits;
  int64_t vector_dim = 1;
  int64_t lut_bits = 0;
  bool is_split = false;
  friend bool operator==(const LayerFacts&, const LayerFacts&) = default;
};

LayerFacts FactsOf(const PackedLayer& layer) {
  LayerFacts facts;
  facts.bits = layer.options.GetInt("bits");
  facts.code = layer.options.GetString("code");
  facts.state_bits = IntegerOption(layer.options, "state_bits", kQtipDefaultStateBits);
  facts.vector_dim = IntegerOption(layer.options, "vector_dim", QtipDefaultVectorDim(facts.code));
  if (const auto tlut = layer.tensors.find("tlut"); tlut != layer.tensors.end()) {
    const std::vector<int64_t>& shape = tlut->second.shape();
    if (!shape.empty()) facts.lut_bits = std::bit_width(static_cast<uint64_t>(shape[0])) - 1;
    if (shape.size() == 2) facts.vector_dim = shape[1];
    if (facts.code == "lut") facts.state_bits = facts.lut_bits;
  }
  const auto rcp = layer.tensors.find("rcp");
  facts.is_split = rcp != layer.tensors.end() && rcp->second.ToFloat() != std::vector<float>{0};
  return facts;
}

// Rates by projection; layers whose names tell none count under their prefix.
using Rates = std::map<std::string, std::set<int64_t>>;

int64_t MostCommon(const std::map<int64_t, int64_t>& counts) {
  return std::max_element(counts.begin(), counts.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

absl::Status WriteRates(const Rates& rates, int64_t most_common, Json& params) {
  params["K"] = most_common;
  for (const auto& [projection, bits] : rates) {
    if (bits.size() > 1) {
      return NotUniform("bits of " + projection,
                        std::to_string(*bits.begin()) + " and " + std::to_string(*bits.rbegin()),
                        "one rate for a projection in all layers");
    }
    if (*bits.begin() != most_common) params["K_" + projection + "_proj"] = *bits.begin();
  }
  return absl::OkStatus();
}

void RemoveRates(Json& params) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : params.items()) {
    if (QtipProjectionOfKey(key)) keys.push_back(key);
  }
  for (const std::string& key : keys) params.erase(key);
}

void WriteFacts(const LayerFacts& facts, Json& params) {
  params["codebook"] = "bitshift";
  if (!params.contains("codebook_version")) params["codebook_version"] = 0;
  params["L"] = facts.state_bits;
  params["V"] = facts.vector_dim;
  if (facts.lut_bits > 0 || !params.contains("tlut_bits")) params["tlut_bits"] = facts.lut_bits;
  for (const auto& [mode, code] : kQtipDecodeModes) {
    if (code == facts.code) params["decode_mode"] = mode;
  }
  params["td_x"] = kQtipConfigTile;
  params["td_y"] = kQtipConfigTile;
  params["split_for_tp"] = facts.is_split;
  if (!params.contains("skip_list")) params["skip_list"] = nullptr;
}

}  // namespace

absl::StatusOr<std::string> WriteQtipModelConfig(const std::string& config,
                                                 const std::map<std::string, PackedLayer>& layers) {
  Json json = Json::object();
  if (!config.empty()) {
    QTIPD_ASSIGN_OR_RETURN(json, ParseQtipConfigObject(config));
  }
  Json& params = json[kQtipParams];
  if (!params.is_object()) params = Json::object();
  Rates rates;
  std::map<int64_t, int64_t> counts;
  LayerFacts common = FactsOf(layers.begin()->second);
  for (const auto& [prefix, layer] : layers) {
    const LayerFacts facts = FactsOf(layer);
    common.bits = facts.bits;
    if (facts != common) {
      return NotUniform(
          "code, table or split of " + prefix, facts.code,
          common.code + ", with the same table size and split as in " + layers.begin()->first);
    }
    const std::optional<QtipLinearName> name = ParseQtipLinearName(prefix);
    rates[name ? name->projection : prefix].insert(facts.bits);
    ++counts[facts.bits];
  }
  WriteFacts(common, params);
  RemoveRates(params);
  QTIPD_RETURN_IF_ERROR(WriteRates(rates, MostCommon(counts), params));
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace qtipd
