#include "kernels/api/error.h"

#include <algorithm>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace qtipd {
namespace {

constexpr char kPayloadUrl[] = "qtipd.dev/error_info";
// Field separator of the payload; control characters never occur in reasons, keys or values.
constexpr char kSeparator = '\x1f';
// No slip of the finger is longer, and comparing takes the product of two lengths.
constexpr size_t kLongestNearName = 1000;

std::string Encode(std::string_view reason, const std::map<std::string, std::string>& metadata) {
  std::string text(reason);
  for (const auto& [key, value] : metadata) {
    text += kSeparator + key + kSeparator;
    std::replace_copy(value.begin(), value.end(), std::back_inserter(text), kSeparator, ' ');
  }
  return text;
}

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (char c : text) {
    if (c == kSeparator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substitute = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

}  // namespace

absl::Status MakeError(absl::StatusCode code, std::string_view reason, std::string_view message,
                       std::map<std::string, std::string> metadata) {
  absl::Status status(code, absl::string_view(message.data(), message.size()));
  status.SetPayload(kPayloadUrl, absl::Cord(Encode(reason, metadata)));
  return status;
}

absl::Status FieldError(absl::StatusCode code, std::string_view reason, std::string_view field,
                        std::string_view got, std::string_view allowed) {
  std::string message;
  message.append(field).append(": got ").append(got).append(", allowed ").append(allowed);
  return MakeError(code, reason, message,
                   {{"field", std::string(field)},
                    {"got", std::string(got)},
                    {"allowed", std::string(allowed)}});
}

absl::Status InvalidField(std::string_view reason, std::string_view field, std::string_view got,
                          std::string_view allowed) {
  return FieldError(absl::StatusCode::kInvalidArgument, reason, field, got, allowed);
}

ErrorInfo GetErrorInfo(const absl::Status& status) {
  ErrorInfo info;
  const auto payload = status.GetPayload(kPayloadUrl);
  if (!payload) {
    info.reason = absl::StatusCodeToString(status.code());
    return info;
  }
  const std::vector<std::string> parts = Split(std::string(*payload));
  info.reason = parts[0];
  for (size_t i = 1; i + 1 < parts.size(); i += 2) info.metadata[parts[i]] = parts[i + 1];
  return info;
}

std::vector<std::string> NearestNames(std::string_view name,
                                      const std::vector<std::string>& known) {
  std::vector<std::pair<size_t, std::string>> ranked;
  for (const std::string& candidate : known) {
    const auto [shorter, longer] = std::minmax({name.size(), candidate.size()});
    if (longer > kLongestNearName || longer - shorter > longer / 2) continue;
    const size_t distance = EditDistance(name, candidate);
    if (distance <= longer / 2) ranked.emplace_back(distance, candidate);
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::string> nearest;
  for (size_t i = 0; i < ranked.size() && i < 3; ++i) nearest.push_back(ranked[i].second);
  return nearest;
}

}  // namespace qtipd
