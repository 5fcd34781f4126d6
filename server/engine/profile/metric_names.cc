#include "server/engine/profile/metric_names.h"

#include <algorithm>
#include <string_view>

#include "kernels/api/error.h"

namespace qtipd {
namespace {

constexpr size_t kMostMetrics = 256;
constexpr size_t kMostCharacters = 200;  // the longest name of a chip's catalogue has some 100
constexpr size_t kMostChipCharacters = 64;
constexpr size_t kShownCharacters = 64;

bool IsName(std::string_view text, size_t most) {
  // Not isalnum: it depends on the locale.
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.";
  return !text.empty() && text.size() <= most &&
         text.find_first_not_of(kAllowed) == std::string_view::npos;
}

std::string CutShort(const std::string& text) {
  if (text.size() <= kShownCharacters) return text;
  return text.substr(0, kShownCharacters) + "... (" + std::to_string(text.size()) + " bytes)";
}

}  // namespace

absl::Status CheckMetrics(const std::vector<std::string>& names) {
  if (names.size() > kMostMetrics) {
    return InvalidField("TOO_MANY_METRICS", "metrics", std::to_string(names.size()),
                        "at most " + std::to_string(kMostMetrics));
  }
  const auto is_bad = [](const std::string& name) { return !IsName(name, kMostCharacters); };
  const auto bad = std::find_if(names.begin(), names.end(), is_bad);
  if (bad == names.end()) return absl::OkStatus();
  return InvalidField(
      "METRIC_INVALID", "metrics", CutShort(*bad),
      "names of 1 to " + std::to_string(kMostCharacters) + " letters, digits, '_' and '.'");
}

absl::Status CheckChip(const std::string& chip) {
  if (IsName(chip, kMostChipCharacters)) return absl::OkStatus();
  return InvalidField(
      "CHIP_UNKNOWN", "chip", CutShort(chip),
      "a name such as GH100, of at most " + std::to_string(kMostChipCharacters) + " characters");
}

}  // namespace qtipd
