#include "client/format_options.h"

#include <utility>

#include "client/parse.h"
#include "client/rpc_status.h"
#include "kernels/api/status.h"

namespace qtipd {
namespace {

absl::Status Set(const std::string& key, const std::string& value, OptionMap& options) {
  v1::OptionValue option;
  option.set_text(value);
  if (!options.insert({key, option}).second) {
    return UsageError("--option", "'" + key + "' more than once", "each option once");
  }
  return absl::OkStatus();
}

}  // namespace

void AddFormatFlags(CLI::App& verb, FormatFlags& flags) {
  verb.add_option("--code", flags.code, "Short for --option code=...");
  verb.add_option("--bits", flags.bits, "Short for --option bits=...");
  verb.add_option("--option", flags.options, "KEY=VALUE of the format's schema; may be repeated")
      ->allow_extra_args(false);
}

absl::Status FillFormatOptions(const FormatFlags& flags, OptionMap& options) {
  if (!flags.code.empty()) QTIPD_RETURN_IF_ERROR(Set("code", flags.code, options));
  if (!flags.bits.empty()) QTIPD_RETURN_IF_ERROR(Set("bits", flags.bits, options));
  for (const std::string& text : flags.options) {
    QTIPD_ASSIGN_OR_RETURN(const auto pair, ParseKeyValue("--option", text));
    QTIPD_RETURN_IF_ERROR(Set(pair.first, pair.second, options));
  }
  return absl::OkStatus();
}

}  // namespace qtipd
