#include "client/parse.h"

#include <charconv>

#include "absl/strings/numbers.h"
#include "client/rpc_status.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

// A whole positive number, and nothing else.
bool ParsePositive(std::string_view text, int64_t* value) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, *value);
  return result.ec == std::errc() && result.ptr == end && *value >= 1;
}

std::string Quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

}  // namespace

absl::StatusOr<absl::Duration> ParseDuration(std::string_view field, std::string_view text) {
  const size_t unit_begin = text.find_first_not_of("0123456789.");
  const std::string_view number = text.substr(0, unit_begin);
  const std::string_view unit =
      unit_begin == std::string_view::npos ? "s" : text.substr(unit_begin);
  const double unit_seconds = unit == "ms"  ? 1e-3
                              : unit == "s" ? 1
                              : unit == "m" ? 60
                              : unit == "h" ? 3600
                                            : 0;
  double value = 0;
  const bool is_number = absl::SimpleAtod(absl::string_view(number.data(), number.size()), &value);
  if (!is_number || unit_seconds == 0 || value <= 0) {
    return UsageError(field, Quoted(text), "a positive time like 60s, 500ms, 2m or 1h");
  }
  return absl::Seconds(value * unit_seconds);
}

absl::StatusOr<v1::Shape> ParseShape(std::string_view field, std::string_view text) {
  const size_t cross = text.find('x');
  int64_t out = 0;
  int64_t in = 0;
  if (cross == std::string_view::npos || !ParsePositive(text.substr(0, cross), &out) ||
      !ParsePositive(text.substr(cross + 1), &in)) {
    return UsageError(field, Quoted(text), "OUTxIN, out_features x in_features, like 4096x4096");
  }
  v1::Shape shape;
  shape.set_out_features(out);
  shape.set_in_features(in);
  return shape;
}

absl::StatusOr<std::vector<std::string>> ParseList(std::string_view field, std::string_view text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    if (parts.back().empty()) {
      return UsageError(field, Quoted(text), "a list like a,b with no empty part");
    }
    begin = end + 1;
  }
  return parts;
}

absl::StatusOr<std::vector<int64_t>> ParseIntegers(std::string_view field, std::string_view text) {
  QTIPD_ASSIGN_OR_RETURN(const std::vector<std::string> parts, ParseList(field, text));
  std::vector<int64_t> values;
  for (const std::string& part : parts) {
    if (!ParsePositive(part, &values.emplace_back())) {
      return UsageError(field, Quoted(part), "whole numbers of at least 1, like 1,2,4");
    }
  }
  return values;
}

absl::StatusOr<uint64_t> ParseSeed(std::string_view field, std::string_view text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec == std::errc() && result.ptr == end) return value;
  return UsageError(field, Quoted(text), "a whole number from 0 to 18446744073709551615");
}

absl::StatusOr<std::pair<std::string, std::string>> ParseKeyValue(std::string_view field,
                                                                  std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string_view::npos) {
    return UsageError(field, Quoted(text), "KEY=VALUE");
  }
  return std::pair(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
}

}  // namespace qtipd
