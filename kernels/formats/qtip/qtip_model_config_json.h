// What the reader and the writer of `quip_params` share.
#ifndef QTIPD_KERNELS_FORMATS_QTIP_QTIP_MODEL_CONFIG_JSON_H_
#define QTIPD_KERNELS_FORMATS_QTIP_QTIP_MODEL_CONFIG_JSON_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace qtipd {

// Keeps the keys of a config in their order.
using QtipConfigJson = nlohmann::ordered_json;

inline constexpr char kQtipParams[] = "quip_params";
inline constexpr int64_t kQtipConfigTile = 16;  // td_x, td_y

// decode_mode upstream, and our name of the code.
inline constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kQtipDecodeModes = {{
    {"quantlut_sym", "hyb"},
    {"1mad", "1mad"},
    {"2mad", "2mad"},
    {"3inst", "3inst"},
    {"quantlut", "quantlut"},
    {"lut", "lut"},
}};

// MODEL_CONFIG_INVALID about a key of config.json.
absl::Status QtipConfigInvalid(const std::string& key, std::string_view got,
                               std::string_view allowed);

absl::StatusOr<QtipConfigJson> ParseQtipConfigObject(const std::string& text);

// "K_v_proj" -> "v"
std::optional<std::string> QtipProjectionOfKey(const std::string& key);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_FORMATS_QTIP_QTIP_MODEL_CONFIG_JSON_H_
