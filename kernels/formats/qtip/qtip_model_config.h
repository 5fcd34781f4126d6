// What a QTIP model's config.json says under `quip_params`, read and written.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_MODEL_CONFIG_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_MODEL_CONFIG_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/api/weight_format.h"

namespace qtipd {

inline constexpr int64_t kQtipDefaultStateBits = 16;

// Weights a step of a code, unless a config or an option says otherwise.
int64_t QtipDefaultVectorDim(const std::string& code);

// Keys in the order of `quip_params`; what is not there has its default.
struct QtipModelConfig {
  int64_t state_bits = kQtipDefaultStateBits;  // L
  int64_t bits = 0;                            // K, of every projection without one of its own
  std::map<std::string, int64_t> bits_of_projection;  // K_v_proj and the like, "v" -> K
  int64_t vector_dim = 0;                             // V
  int64_t lut_bits = 0;                               // tlut_bits, of codes with a table
  std::string code;                                   // decode_mode by our name for it
  bool is_split = false;                              // split_for_tp
  std::set<std::string> skip_list;                    // "0_q": linears that stay ordinary
  std::optional<int64_t> layer_count;                 // num_hidden_layers
};

// Whether the text is a JSON object with an object `quip_params`.
bool HasQuipParams(const std::string& config);

// Errors: MODEL_CONFIG_INVALID, naming the key, also where two keys contradict each other.
absl::StatusOr<QtipModelConfig> ParseQtipModelConfig(const std::string& config);

// Whether layers of the code have a tensor `tlut`.
bool QtipCodeHasLut(const std::string& code);

// WeightFormat::ModelConfig of this format. bits, code and table are those of the layers, K is the
// most common rate, and a projection with another one gets a key K_<projection>_proj.
// Errors: MODEL_CONFIG_INVALID; FailedPrecondition/MODEL_NOT_UNIFORM.
absl::StatusOr<std::string> WriteQtipModelConfig(const std::string& config,
                                                 const std::map<std::string, PackedLayer>& layers);

// Where a linear stands in a model: "model.layers.3.self_attn.q_proj." is layer 3, projection "q".
struct QtipLinearName {
  int64_t layer = 0;
  std::string projection;
  std::string SkipKey() const { return std::to_string(layer) + "_" + projection; }
};
// Nothing for other tensors' prefixes.
std::optional<QtipLinearName> ParseQtipLinearName(const std::string& prefix);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_MODEL_CONFIG_H_
