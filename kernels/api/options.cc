#include "kernels/api/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "kernels/api/error.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

template <typename T>
const T& Get(const std::map<std::string, OptionValue>& values, std::string_view name) {
  const auto found = values.find(std::string(name));
  const T* value = found == values.end() ? nullptr : std::get_if<T>(&found->second);
  if (value == nullptr) {
    std::fprintf(stderr, "qtipd bug: option '%.*s' was not checked\n",
                 static_cast<int>(name.size()), name.data());
    std::abort();
  }
  return *value;
}

template <typename T>
std::optional<OptionValue> ParseNumber(const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<OptionValue> ParseText(const OptionSpec& spec, const std::string& text) {
  if (std::holds_alternative<int64_t>(spec.default_value)) return ParseNumber<int64_t>(text);
  if (std::holds_alternative<double>(spec.default_value)) return ParseNumber<double>(text);
  if (std::holds_alternative<bool>(spec.default_value)) {
    if (text == "true") return true;
    if (text == "false") return false;
    return std::nullopt;
  }
  return text;
}

bool IsWord(const OptionSpec& spec, const OptionValue& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text != nullptr &&
         std::find(spec.words.begin(), spec.words.end(), *text) != spec.words.end();
}

// The value as the option's type or one of its words, or nothing.
std::optional<OptionValue> Convert(const OptionSpec& spec, const OptionValue& value) {
  if (value.index() == spec.default_value.index()) return value;
  if (IsWord(spec, value)) return value;
  if (const auto* text = std::get_if<std::string>(&value)) return ParseText(spec, *text);
  const bool wants_double = std::holds_alternative<double>(spec.default_value);
  if (const auto* integer = std::get_if<int64_t>(&value); integer != nullptr && wants_double) {
    return static_cast<double>(*integer);
  }
  return std::nullopt;
}

bool IsAllowed(const OptionSpec& spec, const OptionValue& value) {
  if (IsWord(spec, value)) return true;
  if (!spec.choices.empty()) {
    return std::find(spec.choices.begin(), spec.choices.end(), value) != spec.choices.end();
  }
  double number = 0;
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    number = static_cast<double>(*integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    number = *real;
  } else {
    return true;
  }
  return std::isfinite(number) && number >= spec.minimum && number <= spec.maximum;
}

absl::Status UnknownOption(const OptionSchema& schema, const std::string& name) {
  std::vector<std::string> known;
  for (const OptionSpec& spec : schema) known.push_back(spec.name);
  std::string allowed;
  for (const std::string& option : known) allowed += (allowed.empty() ? "" : ", ") + option;
  const std::vector<std::string> nearest = NearestNames(name, known);
  if (!nearest.empty()) allowed += " (did you mean " + nearest[0] + "?)";
  return InvalidField("OPTION_UNKNOWN", "option", name, allowed);
}

}  // namespace

int64_t Options::GetInt(std::string_view name) const { return Get<int64_t>(values_, name); }
double Options::GetDouble(std::string_view name) const { return Get<double>(values_, name); }
bool Options::GetBool(std::string_view name) const { return Get<bool>(values_, name); }
const std::string& Options::GetString(std::string_view name) const {
  return Get<std::string>(values_, name);
}

absl::StatusOr<Options> CheckOptions(const OptionSchema& schema,
                                     const std::map<std::string, OptionValue>& given) {
  std::map<std::string, OptionValue> values;
  for (const OptionSpec& spec : schema) values[spec.name] = spec.default_value;
  for (const auto& [name, value] : given) {
    const auto spec = std::find_if(schema.begin(), schema.end(),
                                   [&](const OptionSpec& s) { return s.name == name; });
    if (spec == schema.end()) return UnknownOption(schema, name);
    const std::optional<OptionValue> converted = Convert(*spec, value);
    if (!converted || !IsAllowed(*spec, *converted)) {
      return InvalidField("OPTION_INVALID", name, OptionText(value), AllowedText(*spec));
    }
    values[name] = *converted;
  }
  return Options(std::move(values));
}

std::string OptionText(const OptionValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* boolean = std::get_if<bool>(&value)) return *boolean ? "true" : "false";
  if (const auto* integer = std::get_if<int64_t>(&value)) return std::to_string(*integer);
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), std::get<double>(value)).ptr;
  return std::string(buffer, end);
}

std::string AllowedText(const OptionSpec& spec) {
  if (!spec.choices.empty()) {
    std::string text;
    for (const OptionValue& choice : spec.choices) {
      text += (text.empty() ? "" : ", ") + OptionText(choice);
    }
    return text;
  }
  if (std::holds_alternative<bool>(spec.default_value)) return "true, false";
  if (std::holds_alternative<std::string>(spec.default_value)) return "any text";
  const bool is_integer = std::holds_alternative<int64_t>(spec.default_value);
  const auto bound = [&](double value) {
    return is_integer ? std::to_string(static_cast<int64_t>(value)) : OptionText(value);
  };
  std::string text = (is_integer ? "an integer from " : "a number from ") + bound(spec.minimum) +
                     " to " + bound(spec.maximum);
  for (const std::string& word : spec.words) text += " or " + word;
  return text;
}

}  // namespace qtipd
