// Format options: the schema that a format declares, and values checked against it.
#ifndef QTIPD_KERNELS_API_OPTIONS_H_
#define QTIPD_KERNELS_API_OPTIONS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

namespace qtipd {

using OptionValue = std::variant<int64_t, double, bool, std::string>;

// One option of a format. The alternative held by `default_value` is the option's type. A non-empty
// `choices` lists every allowed value; otherwise numbers lie in [minimum, maximum].
struct OptionSpec {
  std::string name;
  std::string help;  // one sentence, with the unit
  OptionValue default_value;
  std::vector<OptionValue> choices;
  double minimum = 0;
  double maximum = 0;
  std::vector<std::string> words;  // texts that a number may be replaced by
};

using OptionSchema = std::vector<OptionSpec>;

// Values for every option of a schema, defaults filled in. Build with CheckOptions.
class Options {
 public:
  Options() = default;
  explicit Options(std::map<std::string, OptionValue> values) : values_(std::move(values)) {}

  // The option must exist with that type: CHECK-fails otherwise (a bug of ours, never of a user).
  int64_t GetInt(std::string_view name) const;
  double GetDouble(std::string_view name) const;
  bool GetBool(std::string_view name) const;
  const std::string& GetString(std::string_view name) const;
  const std::map<std::string, OptionValue>& values() const { return values_; }

  friend bool operator==(const Options&, const Options&) = default;

 private:
  std::map<std::string, OptionValue> values_;
};

// Fills defaults and checks `given` against `schema`. Text is converted to the option's type, an
// integer to a double option.
// Errors: OPTION_UNKNOWN (with near names), OPTION_INVALID (type, range or choice).
absl::StatusOr<Options> CheckOptions(const OptionSchema& schema,
                                     const std::map<std::string, OptionValue>& given);

// "2", "0.9", "true", "hyb"
std::string OptionText(const OptionValue& value);

// "2, 3, 4" or "0 to 1"
std::string AllowedText(const OptionSpec& spec);

}  // namespace qtipd

#endif  // QTIPD_KERNELS_API_OPTIONS_H_
